"""The bar of a training: it is drawn on stderr, and hands records on."""

from melodyconstraints.latent.pair import RoundRecord
from melodyconstraints.latent.progress import rounds_bar


def test_the_bar_shows_the_newest_rewards_and_hands_records_on(capsys):
    seen = []
    record = RoundRecord(
        round=1,
        critic_loss=0.5,
        actor_loss=0.5,
        distance=0.1,
        rewards=[0.25, 0.5],
        satisfied=[0.0, 0.5],
        all_satisfied=0.125,
    )
    with rounds_bar(2, ["first", "second"], seen.append) as (show, announce):
        announce("first is slow")
        show(record)
    assert seen == [record]
    out, err = capsys.readouterr()
    assert out == ""
    assert "first is slow\n" in err
    assert "2/2 rounds" in err
    assert "all satisfied 12%: first 0.250" in err
