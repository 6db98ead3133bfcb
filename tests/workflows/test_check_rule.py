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
