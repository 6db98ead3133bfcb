"""Running ``mc`` in an empty folder, and reading what it prints."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from melodyconstraints.bank import CACHE, load_bank
from melodyconstraints.cli.main import main
from melodyconstraints.latent.settings import PRESETS, ActorCriticSettings


@pytest.fixture
def mc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command line in an empty folder; an exception that is no exit fails the test."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner(env={"COLUMNS": "250", "FORCE_COLOR": None})

    def run(*arguments: object, env: dict[str, str] | None = None) -> Result:
        words = [str(one) for one in arguments]
        return runner.invoke(main, words, catch_exceptions=False, env=env)

    return run


@pytest.fixture
def table() -> Callable[[str], list[list[str]]]:
    """Cells of every table row in a text."""

    def read(text: str) -> list[list[str]]:
        lines = [line for line in text.splitlines() if re.match("[│┃]", line)]
        return [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in lines]

    return read


@pytest.fixture
def quick_recipe(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_recipe: ActorCriticSettings
) -> None:
    """Makes the default recipe a tiny one, and banks small ones in a cache of the test's own."""
    monkeypatch.setitem(PRESETS, "default", tiny_recipe)
    monkeypatch.setitem(load_bank.__kwdefaults__, "size", 24)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
