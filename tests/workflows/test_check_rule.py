"""Check of a rule: how many melodies it takes, and that nothing is printed unasked."""

import pytest
import torch

import melodyconstraints as mc
from melodyconstraints.melody.events import Melodies
from melodyconstraints.rules import rule
from melodyconstraints.storage.cache import CACHE
from melodyconstraints.workflows import check_rule as workflow
from melodyconstraints.workflows.bank import Bank
from melodyconstraints.workflows.check_rule import check_rule


@pytest.mark.parametrize(
    ("seconds", "contract", "rewards"), [(1e-9, 256, 600), (0.02, 41, 375), (5, 8, 64)]
)
def test_of_a_slow_rule_fewer_melodies_are_taken(
    monkeypatch, tiny_model, rng, seconds, contract, rewards
):
    melodies, calls = Melodies(rng.integers(0, 130, (600, 256))), []
    bank = Bank(1.0, torch.zeros(600, 8), melodies, reconstructions=melodies)
    monkeypatch.setattr(workflow, "load_bank", lambda *_, **__: bank)
    slow = rule(lambda melody: calls.append(0) or len(melody) / 256)
    report = check_rule(tiny_model, slow, clock=lambda: len(calls) * seconds)
    assert report.distributions["drawn by the model"].n == rewards
    assert len(calls) <= 9 + 6 * contract + 4 + 32 + 2 * rewards
    assert report.speed == pytest.approx(1 / seconds)


def test_a_plain_function_is_checked_and_nothing_is_said_unasked(
    monkeypatch, tmp_path, tiny_model, some_melodies, capfd
):
    monkeypatch.setenv(CACHE, str(tmp_path))
    bank = Bank(1.0, torch.zeros(len(some_melodies), 8), some_melodies)
    monkeypatch.setattr(workflow, "load_bank", lambda _: bank)

    def notes(melody):
        return len(melody) / 256

    report = mc.check_rule(tiny_model, notes)
    assert report.rule.name == "notes"
    assert [one.broken for one in report.findings] == [None] * 5
    mean = sum(len(one) for one in some_melodies) / len(some_melodies) / 256
    assert report.distributions["drawn by the model"].mean == pytest.approx(mean)
    assert report.passed
    assert capfd.readouterr() == ("", "")


def test_a_broken_contract_has_no_verdict(monkeypatch, tiny_model, some_melodies):
    bank = Bank(1.0, torch.zeros(len(some_melodies), 8), some_melodies)
    monkeypatch.setattr(workflow, "load_bank", lambda _: bank)
    report = mc.check_rule(tiny_model, lambda melody: 2)
    assert not report.passed
    assert (report.verdict, report.speed, report.distributions) == (None, None, {})


@pytest.fixture(scope="module")
def packaged():
    """The packaged generator, whose melodies come in any key."""
    return mc.load_model()


@pytest.mark.parametrize(
    ("spec", "drawn", "kind"),
    [
        ("final-note:C", "in the best key", "satisfied"),  # in some key each ends on C
        ("pitch-classes:0,4", "drawn in its scale", "satisfied"),
        ("scale:D-dorian", "drawn in its scale", "easy"),
        ("rhythm:x..x..x.", "drawn in its rhythm", "satisfied"),
        ("steps:60%", None, "good"),  # the same in every key
    ],
)
def test_a_rule_is_assessed_by_melodies_as_its_training_draws_them(packaged, spec, drawn, kind):
    report = check_rule(packaged, spec)
    as_trained = [drawn] if drawn else []
    assert list(report.distributions) == ["drawn by the model", *as_trained, "of its data"]
    assert report.verdict.kind == kind
    assessed = report.distributions[drawn or "drawn by the model"]
    assert (assessed.satisfied == 1) == (kind == "satisfied")


@pytest.mark.parametrize(
    ("spec", "against"),
    [
        ("steps:60%", None),
        ("density:4..12", "typical melodies seldom satisfy what is asked"),
        ("scale:D-dorian", "most melodies drawn satisfy what is asked already"),
    ],
)
def test_whether_an_actor_learns_what_is_typical_beside_a_rule(packaged, spec, against):
    assert check_rule(packaged, spec).against_typical == against


def test_of_a_rule_that_cannot_be_learned_no_reason_is_told(packaged):
    report = check_rule(packaged, lambda melody: 0.5)
    assert (report.passed, report.against_typical) == (False, None)
