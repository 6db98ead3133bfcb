"""Running ``mc`` in an empty folder, and reading what it prints."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from melodyconstraints.cli.main import main
from melodyconstraints.images.actor import ImageActor, save_actor
from melodyconstraints.images.checkpoint import save_classifier, save_model
from melodyconstraints.images.classifier import ClassifierConfig, ImageClassifier
from melodyconstraints.images.config import ImageVAEConfig, TrunkConfig
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.latent.networks import Actor, Critic, Critics
from melodyconstraints.latent.progress import Bar
from melodyconstraints.latent.settings import PRESETS, ActorCriticSettings
from melodyconstraints.melody.midi.sound import SOUNDFONT
from melodyconstraints.rules import find_rules
from melodyconstraints.storage.cache import CACHE
from melodyconstraints.workflows.bank import load_bank
from melodyconstraints.workflows.load_actor import load_actor


@pytest.fixture
def mc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command line in an empty folder; an exception that is no exit fails the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(SOUNDFONT, "")  # a plucked string, whatever is installed
    runner = CliRunner(env={"COLUMNS": "250", "FORCE_COLOR": None})

    def run(*arguments: object, env: dict[str, str] | None = None) -> Result:
        words = [str(one) for one in arguments]
        return runner.invoke(main, words, catch_exceptions=False, env=env)

    return run


@pytest.fixture
def table() -> Callable[[str], list[list[str]]]:
    """Cells of every table row in a text."""

    def read(text: str) -> list[list[str]]:
        return [line.split("\t") for line in text.splitlines() if "\t" in line]

    return read


@pytest.fixture
def almost_folder(tmp_path: Path, tiny_actor_folder: Path) -> Path:
    """An actor one of whose rules, ``mine.py:almost``, gives every melody 0.9996."""
    (tmp_path / "mine.py").write_text("def almost(melody):\n    return 0.9996\n")
    rules = find_rules(["cmajor", str(tmp_path / "mine.py") + ":almost"])
    replace(load_actor(tiny_actor_folder), rules=rules).save(tmp_path / "almost")
    return tmp_path / "almost"


@pytest.fixture
def quick_recipe(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_settings: ActorCriticSettings
) -> None:
    """Makes the default recipe a tiny one, and banks small ones in a cache of the test's own."""
    monkeypatch.setitem(PRESETS, "default", tiny_settings)
    monkeypatch.setitem(load_bank.__wrapped__.__kwdefaults__, "size", 24)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))


@pytest.fixture
def bars_ended(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float | None, str]]:
    """How far the task of each bar that has ended had come, of how much, and what it said."""
    ended: list[tuple[float, float | None, str]] = []
    stop = Bar.stop

    def stopped(bar: Bar) -> None:
        ended.extend((task.completed, task.total, task.description) for task in bar.tasks)
        stop(bar)

    monkeypatch.setattr(Bar, "stop", stopped)
    return ended


CLASSES = ("0", "1", "2", "3")
SHAPE = (1, 8, 8)


@pytest.fixture
def bars(bars_kept: Path, tmp_path: Path) -> torch.Tensor:
    """Images of a bar at one of four places, and what is for them, in the folder of the test.

    ``data`` holds classes 0 to 3, each twice to train on and twice to test with. ``model`` and
    ``autoencoder`` encode the bar at place k as the k-th unit vector and decode that as the bar;
    ``actor`` moves every point to the unit vector of its class; the critics of ``search`` and
    ``langevin`` see the k-th dimension; ``realism`` and ``realism-search`` know no labels;
    ``judge`` is right, its features the light at each place. ``letters`` has the images as
    classes a to d, ``letters-judge`` knows those. ``other``, ``other-actor`` and ``other-judge``
    are for images of 6x6 pixels.

    Returns:
        Pixels ``(4, 1, 8, 8)`` of each class.
    """
    for folder in bars_kept.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    return _places().reshape(4, *SHAPE)


@pytest.fixture(scope="session")
def bars_kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of ``bars``."""
    folder = tmp_path_factory.mktemp("bars")
    _write_bars(folder / "data", CLASSES)
    _write_bars(folder / "letters", tuple("abcd"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, autoencoder = _bar_model(0.1), _bar_model(0.0)
        save_model(model, folder / "model")
        save_model(autoencoder, folder / "autoencoder")
        judge = Critics([Critic(4, 1, (), 4, condition_units=4)])
        realism = Critics([Critic(4, 1, ())])
        sees = _linear(Critic(4, 4, ()), 20 * torch.eye(4), -10)
        likely = _linear(Critic(4, 1, ()), torch.tensor([[0.25, 0, 0, 0]]), 2)
        makes = _linear(
            Actor(4, (), 4, condition_units=4),
            torch.eye(8).roll(4, 1),
            torch.tensor([0, 0, 0, 0, 100, 100, 100, 100]),
        )
        torch.nn.init.eye_(makes.inputs.linear.weight)
        torch.nn.init.zeros_(makes.inputs.linear.bias)
        settings = ActorCriticSettings(actor_hidden=(), critic_hidden=(), condition_units=4)
        for name, names, actor, critic, method in (
            ("actor", CLASSES, makes, judge, "actor"),
            ("search", CLASSES, None, Critics([sees, likely]), "gradient"),
            ("langevin", CLASSES, None, Critics([sees]), "langevin"),
            ("realism", (), Actor(4, ()), realism, "actor"),
            ("realism-search", (), None, Critics([likely]), "gradient"),
        ):
            made = ImageActor(
                model=model,
                names=names,
                exclusive=bool(names),
                actor=actor,
                critic=critic,
                settings=settings,
                method=method,
            )
            save_actor(made, folder / name)
        other = ImageVAE(ImageVAEConfig(TrunkConfig((1, 6, 6), "feed-forward", (4,)), 4))
        save_model(other, folder / "other")
        made = ImageActor(
            model=other,
            names=CLASSES,
            exclusive=True,
            actor=makes,
            critic=judge,
            settings=settings,
        )
        save_actor(made, folder / "other-actor")
        for name, shape, names in (
            ("judge", SHAPE, CLASSES),
            ("letters-judge", SHAPE, tuple("abcd")),
            ("other-judge", (1, 6, 6), CLASSES),
        ):
            trunk = TrunkConfig(shape, "feed-forward", (4,))
            classifier = ImageClassifier(ClassifierConfig(trunk, names, exclusive=True))
            if shape == SHAPE:
                _linear(classifier.trunk, _places(), 0)
                _linear(classifier.head, torch.eye(4), 0)
            save_classifier(classifier, folder / name)
    return folder


def _places() -> torch.Tensor:
    """``(4, 64)``: a bar of four rows and two columns at each place."""
    pixels = torch.zeros(4, 8, 8)
    for place in range(4):
        pixels[place, 2:6, 2 * place : 2 * place + 2] = 1
    return pixels.flatten(1)


def _write_bars(folder: Path, names: tuple[str, ...]) -> None:
    folder.mkdir()
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "label", "split"])
        for number in range(16):
            pixels = _places()[number % 4].reshape(8, 8) * 255
            Image.fromarray(pixels.byte().numpy()).save(folder / f"{number}.png")
            split = "train" if number < 8 else "test"
            rows.writerow([f"{number}.png", names[number % 4], split])


def _bar_model(sigma_x: float) -> ImageVAE:
    model = ImageVAE(ImageVAEConfig(TrunkConfig(SHAPE, "feed-forward", (4,)), 4, sigma_x))
    _linear(model.trunk, _places() / 8, 0)
    _linear(model.head, torch.eye(8, 4), torch.tensor([0, 0, 0, 0, -2, -2, -2, -2]))
    first, last = (part for part in model.decoder.modules() if isinstance(part, torch.nn.Linear))
    _linear(first, torch.eye(4), 0)
    _linear(last, 16 * _places().T, -8)
    model.sigma_bar.fill_(0.5)
    return model


def _linear(module: torch.nn.Module, weight: torch.Tensor, bias: torch.Tensor | int) -> Any:
    """Sets the last linear layer of a module, which is returned."""
    *_, layer = (part for part in module.modules() if isinstance(part, torch.nn.Linear))
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(torch.as_tensor(bias))
    return module
