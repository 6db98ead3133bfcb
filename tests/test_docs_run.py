"""The commands of README and docs run as they stand, in their order, for two melodies each.

Those that do not run have a reason here; that these parse, ``test_docs_commands.py`` tests.
"""

import re
import runpy
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

import melodyconstraints as mc
from melodyconstraints.cli.main import main
from melodyconstraints.storage.places import CACHE

docs = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("docs_commands.py"))))
NOT_RUN = {
    "mc train-actor": "minutes; a tiny actor stands in its place",
    "mc train-vae": "half an hour; tests/cli/test_cli_train_vae.py trains tiny models",
    "mc evaluate --model": "a minute, on a model that mc train-vae makes",
    "mc bank --model models/mine": "of a model that mc train-vae makes",
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
    "mc extract-melodies s3:": "needs an object store and other machines",
    "mc rules new my_rules.py": "the file is there; test_readme.py writes another",
    "torchrun": "two processes train in tests/vae/test_distributed.py",
    "python benchmarks/": "minutes to hours; what they print is kept in docs/measured",
    "make ": "an environment of its own and hours; that the target is there, is tested",
    "pip install": "needs the network; tests/installed.py installs, and the extras are tested",
    "uv pip": "needs the network; its figure is of the day that stands beside it",
    "python -m venv": "tests/installed.py makes one",
    'python -c "import torch"': "a second that is measured by benchmarks/package.py",
    "pre-commit install": "writes into the clone's .git",
    "apt-get install": "the system's packages",
    "hf auth login": "needs an account on the Hub",
    "ray start": "needs other machines; tests/datasets makes a cluster of this one",
    "curl": "tests/studio/test_api.py sends each request, and runs jq",
    "eval": "test_docs_commands.py prints each shell's script",
    "_MC_COMPLETE=": "test_docs_commands.py prints each shell's script",
    "jackd": "needs the sound server whose figure stands beside it",
    "setpriv": "how one row of a table was measured",
    "ulimit": "a shell's own",
    "kill": "a signal's name; benchmarks/extraction.py sends it",
    "beta *": "no command but a formula",
    "import ": "no command but Python",
}
"""How commands begin that are not run, and why."""
IN_A_SENTENCE = "names a command, or the measurement of a figure; tests/cli runs each command"
TABLE = "docs/commands.md"
"""The page whose commands are in the lines of a table."""


def reason(command) -> str | None:
    """Why a command is not run; none where it is."""
    for start, why in NOT_RUN.items():
        if command.line.startswith(start):
            return why
    return None if command.is_fenced or is_wish(command) else IN_A_SENTENCE


def is_wish(command) -> bool:
    """Whether a command stands in the table of what one wants, whole."""
    return command.page == TABLE and f"`{command.line}`" in WISHES


WISHES = (docs.ROOT / TABLE).read_text("utf-8").partition("\n\nRules need")[0]
IN_FENCES = {one.line for one in docs.COMMANDS if one.is_fenced}
RUN: dict[str, list[str]] = {}
for one in docs.COMMANDS:
    if reason(one) is None and (one.is_fenced or one.line not in IN_FENCES):
        RUN.setdefault(one.page, []).append(one.line)
"""The commands of each page that are run; those of the table, where no other page has them."""


@pytest.fixture(scope="module")
def made_files(tmp_path_factory, tiny_model_folder, tiny_settings):
    """What the pages take to be there; the actors' rule is one that is easily satisfied."""
    made = tmp_path_factory.mktemp("reader")
    tunes = mc.generate(mc.load_model(), 3, ["cmajor"], seed=2)
    for name, tune in {"song": 0, "other": 1, "tune": 1, "a": 0, "b": 1}.items():
        mc.write_melody(tunes[tune], made / f"{name}.mid")
    for folder in ("reels", "midi_dir"):
        (made / folder).mkdir()
        mc.write_melody(tunes[2], made / folder / "one.mid")
    with pytest.warns(UserWarning, match=r"all 32 melodies .* satisfy density.1 already"):
        actor = mc.train_actor(
            mc.load_model(tiny_model_folder), ["density:1"], settings=tiny_settings
        )
    for name in ("dense", "c"):
        actor.save(made / "actors" / name)
    readme = (docs.ROOT / "README.md").read_text("utf-8")
    rule, *_ = re.findall(r"```python\n(.+?)```", readme, re.DOTALL)
    (made / "my_rules.py").write_text(f"{rule}\n\nmy_rule = ends_on_c\n", "utf-8")
    return made


@pytest.fixture
def readers_files(tmp_path, monkeypatch, made_files, few_draws):
    """A copy of them for each page, in the folder where its commands run."""
    shutil.copytree(made_files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_run(page, readers_files):
    for line in RUN[page]:
        shorter = re.sub(r"-n \d+", "-n 2", line)
        if line.startswith("mc generate ") and " -n " not in line:
            shorter += " -n 2"  # of sixteen
        kept = {CACHE: "cache"} if line.startswith("mc cache") else None
        done = CliRunner().invoke(main, shlex.split(shorter)[1:], env=kept, catch_exceptions=False)
        assert done.exit_code == 0, f"{line}\n{done.stderr}"
        if page == TABLE:  # its rows are not one after another
            shutil.rmtree("out", ignore_errors=True)


def test_every_command_is_of_mc_or_has_a_reason_not_to_be_run():
    other = [one for one in docs.COMMANDS if not one.line.startswith("mc ")]
    assert [one for one in other if reason(one) in (None, IN_A_SENTENCE)] == []


def test_the_first_ten_minutes_are_mostly_run():
    for page in ("README.md", "docs/tutorial.md", TABLE):
        ours = [
            one
            for one in docs.COMMANDS
            if one.page == page and one.line.startswith("mc ") and (one.is_fenced or is_wish(one))
        ]
        assert sum(reason(one) is None for one in ours) >= len(ours) / 2


def test_what_is_not_run_stands_on_a_page():
    lines = [one.line for one in docs.COMMANDS]
    assert [start for start in NOT_RUN if not any(line.startswith(start) for line in lines)] == []
