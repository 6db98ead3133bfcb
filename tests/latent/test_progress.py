"""The bar of a training: it is shown on stderr, in a log too, and hands records on."""

from melodyconstraints.latent.pair import RoundRecord
from melodyconstraints.latent.progress import progress_bar, rounds_bar


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


def test_a_log_gets_a_line_of_progress_every_half_minute(capsys):
    now = [0.0]
    with progress_bar("rounds") as bar:
        bar.get_time = lambda: now[0]
        bar._shown = 0.0
        task = bar.add_task("first", total=100)
        for done, at in ((1, 29), (2, 31), (3, 60), (4, 61), (5, 62)):
            now[0] = at
            bar.update(task, completed=done)
        lines = capsys.readouterr().err.splitlines()
    assert [line.split("rounds")[0].split()[-1] for line in lines] == ["2/100", "4/100"]
    assert "0:00:31 left" in lines[0]
