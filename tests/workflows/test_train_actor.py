"""A training into a folder, from Python; what is trained there: ``test_actor``."""

import inspect
from typing import get_type_hints

import pytest

from melodyconstraints.errors import RuleError, StoreError, UsageError
from melodyconstraints.latent.pair import CURVES
from melodyconstraints.rules import rule
from melodyconstraints.storage.cache import CACHE
from melodyconstraints.workflows.bank import load_bank
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.models import load_model
from melodyconstraints.workflows.train_actor import (
    TrainingOptions,
    train_actor,
    train_actor_folder,
)

pytestmark = pytest.mark.usefixtures("blank_curves")

RULES = ["cmajor", "density:252"]


@pytest.fixture(autouse=True)
def _small_banks(monkeypatch, tmp_path):
    monkeypatch.setitem(load_bank.__wrapped__.__kwdefaults__, "size", 24)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))


@pytest.fixture
def model(tiny_model_folder):
    """The tiny model, from its folder."""
    return load_model(tiny_model_folder)


def test_the_options_are_those_of_a_training():
    parameters = inspect.signature(train_actor).parameters.values()
    hints = get_type_hints(train_actor)
    names = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
    assert get_type_hints(TrainingOptions) == {name: hints[name] for name in names}


@pytest.mark.usefixtures("drawn_curves")
def test_the_folder_holds_the_actor_that_is_returned(model, tiny_settings, tmp_path):
    seen = []
    options = {"settings": tiny_settings, "weights": [1, 2], "method": "actor", "seed": 5}
    actor = train_actor_folder(model, RULES, tmp_path / "a", callback=seen.append, **options)
    same = train_actor(model, RULES, **options)
    loaded = load_actor(tmp_path / "a")
    assert actor.records == loaded.records == same.records == seen
    assert (loaded.names, loaded.weights, loaded.method) == (RULES, (1, 2), "actor")
    assert (tmp_path / "a" / CURVES).read_bytes().startswith(b"\x89PNG")


def test_one_rule_alone_needs_no_list(model, tiny_settings, tmp_path):
    train_actor_folder(model, "density:252", tmp_path / "a", settings=tiny_settings)
    assert load_actor(tmp_path / "a").names == ["density:252"]


def test_an_actor_is_replaced_only_on_demand(model, tiny_settings, tmp_path):
    def train(rules, **options):
        train_actor_folder(model, rules, tmp_path / "a", settings=tiny_settings, **options)

    train(["density:252"])
    with pytest.raises(UsageError, match="a already holds the actor of an earlier run; pass --o"):
        train(["cmajor"])
    assert load_actor(tmp_path / "a").names == ["density:252"]
    train(["cmajor"], overwrite=True)
    assert load_actor(tmp_path / "a").names == ["cmajor"]


def test_two_trainings_do_not_share_a_folder(model, tiny_settings, tmp_path):
    def again(_):
        with pytest.raises(StoreError, match="another process is at work in"):
            train_actor_folder(model, RULES, tmp_path / "a", settings=tiny_settings)

    train_actor_folder(model, RULES, tmp_path / "a", settings=tiny_settings, callback=again)


def test_a_rule_that_fails_late_leaves_its_best_actor_in_the_folder(
    model, tiny_settings, tmp_path
):
    rounds = []

    @rule
    def late(melody):
        return 2 if len(rounds) == 2 else len(melody) / 256

    folder = tmp_path / "a"
    with pytest.raises(
        RuleError, match=r"late gave 2\.0 .*; the best actor of the rounds"
    ) as told:
        train_actor_folder(model, [late], folder, settings=tiny_settings, callback=rounds.append)
    assert str(told.value).endswith(f"before is kept in {folder}")
    assert load_actor(folder, rules=["cmajor"]).records == told.value.actor.records == rounds
    assert (folder / CURVES).is_file()


@pytest.mark.parametrize(
    ("rules", "options", "message"),
    [
        (["cmajor"] * 2, {}, "each rule may be given once"),
        ([], {}, "at least one"),
        (RULES, {"preset": "fast"}, "preset must be one of default, paper, got 'fast'"),
        (RULES, {"method": "magic"}, "method must be one of .*, got 'magic'"),
    ],
    ids=str,
)
def test_wrong_usage_makes_no_folder(model, tmp_path, rules, options, message):
    with pytest.raises(UsageError, match=message):
        train_actor_folder(model, rules, tmp_path / "deep" / "a", **options)
    assert not (tmp_path / "deep").exists()


def test_a_model_that_was_never_saved_is_refused_before_the_training(tiny_model, tmp_path):
    with pytest.raises(UsageError, match="the actor's model has no folder; save it first with"):
        train_actor_folder(tiny_model, RULES, tmp_path / "a", callback=pytest.fail)


@pytest.mark.usefixtures("full_disk")
def test_an_actor_without_room_on_the_disk_is_not_begun(model, tiny_settings, tmp_path):
    with pytest.raises(UsageError, match=r"a needs \d\.\d MB, and its disk has 0\.5 MB free"):
        train_actor_folder(model, RULES, tmp_path / "a", settings=tiny_settings)
    assert not (tmp_path / "a").exists()
