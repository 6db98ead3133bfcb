"""Other melodies in place of one: its ends are known melodies, its kept bars are the melody's."""

from dataclasses import replace

import pytest

import melodyconstraints as mc
from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.form import form_of
from melodyconstraints.rules import find_rule
from melodyconstraints.workflows.editing import in_scale
from melodyconstraints.workflows.generate import generate
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.models import load_model
from melodyconstraints.workflows.reconstruct import reconstruct
from melodyconstraints.workflows.reroll import _with_repeats, reroll
from melodyconstraints.workflows.untrained_actor import searching_actor


def test_at_full_strength_all_is_new_and_at_none_the_melody_is_decoded(tiny_model, some_melodies):
    tune = some_melodies[0]
    new = reroll(tiny_model, tune, 2, seed=5)
    assert (new.events == generate(tiny_model, 2, seed=5).events).all()
    same = reroll(tiny_model, tune, 2, strength=0.0, temperature=0.0)
    assert (same.events == reconstruct(tiny_model, [tune]).events).all()


def test_an_actor_shifts_and_bars_are_kept(tiny_actor_folder, some_melodies):
    actor = load_actor(tiny_actor_folder)
    tune = in_scale(some_melodies[1], {0, 2, 4, 5, 7, 9, 11})
    found = reroll(actor, tune, 2, keep_bars=[3, 16], seed=7)
    drawn = actor.generate(2, seed=7)
    assert (found.bars[:, [2, 15]] == tune.bars[[2, 15]]).all()
    assert (found.bars[:, 5] == drawn.bars[:, 5]).all()


def test_a_search_counts_kept_bars_too(tiny_model, some_melodies):
    tune, rule = some_melodies[2], find_rule("density:110")
    found = mc.reroll(searching_actor(tiny_model, [rule]), tune, 2, keep_bars=range(1, 9), seed=3)
    assert (found.bars[:, :8] == tune.bars[:8]).all()
    assert rule(found).tolist() == [1, 1]
    assert all(len(melody) >= 110 for melody in found)


def test_a_search_goes_on_from_the_best_of_more_than_are_wanted(tiny_model, some_melodies):
    drawn = []
    search = searching_actor(tiny_model, [find_rule("density:1")])
    search = replace(search, start=9, callback=lambda _, count: drawn.append(count))
    assert len(reroll(search, some_melodies[0], 2, keep_bars={1})) == 2
    assert drawn[0] == 9


def test_in_a_form_bars_that_repeat_a_kept_one_repeat_it_as_it_is_kept(some_melodies):
    bars = _with_repeats(some_melodies[:1], form_of("ABA'C"), [1, 9]).bars[0]
    own = some_melodies[0].bars
    assert (bars[[8, 9, 10]] == own[[8, 9, 10]]).all()  # kept, or repeating what is not kept
    bars = _with_repeats(some_melodies[:1], form_of("AABA"), [1, 2, 3, 4]).bars[0]
    for first in (4, 12):
        assert (bars[first : first + 4] == bars[:4]).all()
    assert (bars[8:12] == own[8:12]).all()
    bars = _with_repeats(some_melodies[:1], form_of("ABCDA'BCDABCDABCD"), [1]).bars[0]
    notes = own[0, :12] < 128
    assert (bars[4, :12][notes] == own[0, :12][notes]).all()
    assert (bars[4, 13:] == own[4, 13:]).all()


def test_a_bar_that_repeats_a_kept_one_does_not_hold_another_on():
    across = (56, 16, 60)  # from bar 4 into bar 5, which bar 9 repeats
    tune = Melody.from_notes([across, (112, 16, 67), (128, 4, 69)])
    for melody in reroll(load_model(), tune, 2, keep_bars=[4, 5, 8], form="ABBA"):
        assert {(56, 72, 60), (112, 128, 67)} <= _spans(melody)


def _spans(melody):
    """First step, the step after and pitch of every note."""
    ends = melody.onsets + melody.durations
    return set(zip(melody.onsets.tolist(), ends.tolist(), melody.pitches.tolist(), strict=True))


def test_as_many_as_are_drawn_at_once_are_refused_by_what_was_asked(tiny_model, some_melodies):
    actor = searching_actor(tiny_model, ["density:3"])
    with pytest.raises(UsageError, match="100,001"):
        reroll(actor, some_melodies[0], 100_001)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"keep_bars": [0]}, r"bars to keep must be from 1 to 16, got \[0\]"),
        ({"strength": 1.5}, "strength must be from 0 to 1, got 1.5"),
        ({"strength": float("nan")}, "strength must be from 0 to 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(tiny_model, some_melodies, options, text):
    with pytest.raises(UsageError, match=text):
        reroll(tiny_model, some_melodies[0], 1, **options)


def test_bars_that_no_rule_allows_to_keep_are_refused(tiny_actor_folder, tiny_model):
    tune = Melody.from_notes([(0, 4, 60), (16, 4, 61), (20, 4, 66)])
    text = (
        r"^bars 1-2, which stay, hold 2 notes outside the set of cmajor; keep other bars, or "
        "move the melody first by --scale or --key of mc transform$"
    )
    for source in (load_actor(tiny_actor_folder), searching_actor(tiny_model, ["cmajor"])):
        with pytest.raises(UsageError, match=text):
            reroll(source, tune, 1, keep_bars=[1, 2])
    assert len(reroll(load_actor(tiny_actor_folder), tune, 1, keep_bars=[1])) == 1
    weightless = replace(load_actor(tiny_actor_folder), weights=(0.0, 1.0))
    assert len(reroll(weightless, tune, 1, keep_bars=[1, 2])) == 1
