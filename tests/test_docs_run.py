"""The commands of README and docs run as they stand, in their order, for two melodies each.

Those that do not run have a reason here; that these parse, ``test_docs_commands.py`` tests.
"""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import melodyconstraints as mc
from melodyconstraints.cli.main import main

ROOT = Path(__file__).parents[1]
PAGES = {
    str(page.relative_to(ROOT)): page.read_text("utf-8").replace("\\\n", " ")
    for page in (
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "melodyconstraints").rglob("README.md")),
    )
}
COMMANDS = {
    page: commands
    for page, text in PAGES.items()
    if (commands := re.findall(r"^(?:torchrun .* )?mc .+?(?=\s{2,}#|$)", text, re.MULTILINE))
}
NOT_RUN = {
    "mc train-actor": "minutes; a tiny actor stands in its place",
    "mc train-vae": "half an hour; tests/cli/test_cli_train_vae.py trains tiny models",
    "mc evaluate --model": "a minute, on a model that mc train-vae makes",
    "mc studio": "serves until it is stopped; tests/studio asks it",
    "mc ports": "tests/cli/test_cli_play.py has ports in its place",
    "mc play": "needs a MIDI port; tests/cli/test_cli_play.py has one in its place",
    "mc push": "needs the Hub; tests/storage/test_hub.py has a folder in its place",
    "mc generate --model hf:": "needs the Hub, as mc push does",
    "mc generate --actor hf:": "needs the Hub, as mc push does",
    "mc images demo": "trains for a minute; tests/cli/test_cli_images_demo.py shortens it",
    "mc images train": "minutes to hours, of data that is not ours; tests/cli trains tiny ones",
    "mc images transform": "needs an actor of faces; tests/cli has a tiny one in its place",
    "mc images evaluate": "needs data that is not ours; tests/cli has digits in its place",
    "mc images generate --captioner": "needs what mc images train-captions makes of faces",
    "mc extract-melodies midi/": "the bundled model's data, which is not ours",
    "torchrun": "two processes train in tests/vae/test_distributed.py",
}
"""How commands begin that are not run, and why."""


def run_on(page: str) -> list[str]:
    """The commands of a page that are run."""
    return [line for line in COMMANDS[page] if not line.startswith(tuple(NOT_RUN))]


@pytest.fixture
def readers_files(tmp_path, monkeypatch, tiny_model_folder, tiny_settings):
    """What the pages take to be there; the actors' rule is one that is easily satisfied."""
    monkeypatch.chdir(tmp_path)
    tunes = mc.generate(mc.load_model(), 3, ["cmajor"], seed=2)
    mc.write_melody(tunes[0], "song.mid")
    mc.write_melody(tunes[1], "other.mid")
    mc.write_melody(tunes[1], "tune.mid")
    for folder in ("reels", "midi_dir"):
        Path(folder).mkdir()
        mc.write_melody(tunes[2], f"{folder}/one.mid")
    actor = mc.train_actor(mc.load_model(tiny_model_folder), ["density:1"], settings=tiny_settings)
    for name in ("dense", "c"):
        actor.save(Path("actors") / name)
    rule, *_ = re.findall(r"```python\n(.+?)```", PAGES["README.md"], re.DOTALL)
    Path("my_rules.py").write_text(rule, "utf-8")


@pytest.mark.filterwarnings("ignore:all 32 melodies .* satisfy density.1 already")
@pytest.mark.parametrize("page", [page for page in COMMANDS if run_on(page)])
def test_the_commands_of_a_page_run(page, readers_files):
    for line in run_on(page):
        shorter = re.sub(r"-n \d+", "-n 2", line)
        done = CliRunner().invoke(main, shlex.split(shorter)[1:], catch_exceptions=False)
        assert done.exit_code == 0, f"{line}\n{done.stderr}"


def test_the_first_ten_minutes_are_mostly_run():
    for page in ("README.md", "docs/tutorial.md"):
        assert len(run_on(page)) >= len(COMMANDS[page]) / 2


def test_what_is_not_run_stands_on_a_page():
    lines = [line for page in COMMANDS.values() for line in page]
    assert [start for start in NOT_RUN if not any(line.startswith(start) for line in lines)] == []
