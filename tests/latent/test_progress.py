"""The bar of a training: it is shown on stderr, in a log too, and hands records on."""

import re
import time
from functools import partial

import pytest

from melodyconstraints.latent import progress
from melodyconstraints.latent.pair import RoundRecord
from melodyconstraints.latent.progress import progress_bar, rewards_text, rounds_bar

RECORD = RoundRecord(
    round=1,
    critic_loss=0.5,
    actor_loss=0.5,
    distance=0.1,
    rewards=[0.25, 0.5],
    satisfied=[0.0, 0.5],
    all_satisfied=0.125,
)
TEXT = partial(rewards_text, ["first", "second"])


def test_the_bar_shows_the_newest_rewards_and_hands_records_on(capsys):
    seen = []
    with rounds_bar(2, TEXT, seen.append) as bar:
        bar.announce("first is slow")
        bar.show(RECORD)
    assert seen == [RECORD]
    out, err = capsys.readouterr()
    assert out == ""
    assert "first is slow\n" in err
    assert "2/2 rounds" in err
    assert "all satisfied 12%: first 0.250" in err


@pytest.fixture
def lines_of_a_log(monkeypatch, capsys):
    """The lines that a bar has printed once there are so many; they come every 10 ms."""
    monkeypatch.setattr(progress, "_LOG_SECONDS", 0.01)

    def wait_for(count: int) -> list[str]:
        text: list[str] = []
        end = time.monotonic() + 60
        while sum(part.count("\n") for part in text) < count and time.monotonic() < end:
            text.append(capsys.readouterr().err)
            time.sleep(0.005)
        return "".join(text).splitlines()

    return wait_for


@pytest.mark.parametrize("transient", [False, True])
def test_a_log_gets_lines_of_progress_though_nothing_new_is_told(
    lines_of_a_log, capsys, transient
):
    with progress_bar("rounds", transient=transient) as bar:
        bar.get_time = lambda: 7.0  # a clock that stands still
        task = bar.add_task("first", total=100)
        bar.update(task, completed=2)
        lines = lines_of_a_log(3)
    assert {line.split("rounds")[0].split()[-1] for line in lines} == {"2/100"}
    assert {line.split()[-1] for line in lines} == {"first"}
    assert lines[0].split("rounds")[1].split() == ["0:00:00", "first"]  # no speed, no time left


def test_a_warm_up_has_counts_and_times_of_its_own_until_the_first_round(lines_of_a_log, capsys):

    def newest() -> str:
        capsys.readouterr()
        return lines_of_a_log(2)[-1]  # the first one may have been under way

    with rounds_bar(10, TEXT) as bar:
        first = newest()
        for done in (1, 2):
            bar.warm_up("points", done, 4)
        points = newest()
        bar.warm_up("steps", 1, 30)
        steps = newest()
        bar.show(RECORD)
        rounds = newest()
    assert ("0/10 rounds" in first, "left" in first) == (True, False)
    assert "preparing" in first
    assert "2/4 points" in points
    assert re.search(r"left 0:00:0\d", points)
    assert "1/30 steps" in steps
    assert "2/10 rounds" in rounds
    assert "all satisfied 12%" in rounds
    assert not any("-:--" in line for line in (first, points, steps, rounds))


def test_a_bar_that_ends_soon_is_told_of_in_a_line_or_if_transient_not_at_all(capsys):
    for transient, lines in ((False, 1), (True, 0)):
        with progress_bar("rounds", transient=transient) as bar:
            bar.update(bar.add_task("", total=4), completed=4)
        err = capsys.readouterr().err
        assert err.count("4/4 rounds") == lines
        assert bool(err) == bool(lines)


def test_a_bar_that_ended_prints_no_more(lines_of_a_log, capsys):
    with progress_bar("rounds", transient=True) as bar:
        bar.start()  # as some do with every report
        bar.add_task("", total=4)
        lines_of_a_log(1)
    capsys.readouterr()
    time.sleep(0.1)
    assert capsys.readouterr().err == ""
