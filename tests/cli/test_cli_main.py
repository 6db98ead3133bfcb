"""The program itself: help, version, exit codes, and what it does not load."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from melodyconstraints import __version__
from melodyconstraints.cli._common import Duration, print_table, require_rules, rule_options
from melodyconstraints.cli.main import COMMANDS, main
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.midi.writing import write_melody
from melodyconstraints.workflows.actor import MelodyActor

WITHOUT_TORCH = """
import sys
from click.testing import CliRunner
from melodyconstraints.cli.main import COMMANDS, main

for arguments in ([], *([name] for name in COMMANDS)):
    result = CliRunner().invoke(main, [*arguments, "--help"])
    assert result.exit_code == 0, result.output
print({"torch", "note_seq", "pretty_midi", "matplotlib"} & set(sys.modules))
"""


def test_the_version_is_that_of_the_package(mc):
    result = mc("--version")
    assert (result.exit_code, result.output) == (0, f"mc {__version__}\n")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_every_command_with_its_summary(mc, option):
    result = mc(option)
    assert result.exit_code == 0
    for name, (_, summary) in COMMANDS.items():
        lines = [line.split(maxsplit=1) for line in result.output.splitlines()]
        assert [name, summary] in lines


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(mc, name):
    result = mc(name, "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: main {name}")
    assert "\\b" not in result.output
    command = main.get_command(click.Context(main), name)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[0] in result.output
            assert parameter.help or parameter.show_default, parameter.name


def test_help_loads_no_heavy_library():
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_TORCH], capture_output=True, text=True
    )
    assert (result.stdout, result.stderr) == ("set()\n", "")


def test_an_unknown_command_is_wrong_usage(mc):
    result = mc("compose")
    assert result.exit_code == 2
    assert "No such command 'compose'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["generat"], " Did you mean 'generate'?"),
        (["rules", "chek"], " Did you mean 'check'?"),
        (["images", "generat"], " Did you mean 'generate'?"),
        (["generate", "--tempoo", "96"], " Did you mean '--tempo'?"),
        (["--versoin"], " Did you mean '--version'?"),
        (["transform", "--tempo", "96"], ""),  # nothing near, which --help is not
        (["rules", "list", "--hold"], ""),
        (["--tempo", "96"], ""),
    ],
    ids=str,
)
def test_only_near_names_are_suggested(mc, arguments, suggestion):
    result = mc(*arguments)
    assert result.exit_code == 2
    assert re.search(r"No such (?:option|command) '[a-z-]+'\.(.*)", result.stderr)[1] == suggestion


def test_the_first_example_of_the_help_is_what_a_newcomer_does_first(mc):
    examples = [line.strip() for line in mc("--help").stdout.splitlines() if " mc " in line]
    assert examples[0].startswith("mc generate --scale D-dorian ")


def test_an_error_of_the_system_is_one_line(mc, tiny_actor_folder, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "out/melody-001.mid")

    monkeypatch.setattr(MelodyActor, "generate", fail)
    result = mc("generate", "--actor", tiny_actor_folder, "-n", 1)
    assert result.exit_code == 1
    assert result.stderr == "Error: out/melody-001.mid: No space left on device\n"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("0.5s", 0.5), (12.0, 12)]
)
def test_durations_by_hand(text, seconds):
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["30", "m", "1h30m", "-5s", "5 s", "1d", ""])
def test_other_durations_are_refused(text):
    with pytest.raises(click.BadParameter, match=r"is no duration; write 90s, 30m or 1\.5h"):
        Duration().convert(text, None, None)


def test_a_density_is_one_more_rule():
    @click.command()
    @rule_options
    def show(specs):
        click.echo(repr(specs))

    def shown(*arguments):
        return CliRunner().invoke(show, arguments).output.strip()

    assert shown("--rule", "cmajor", "--density", "192") == "['cmajor', 'density:192']"
    assert shown("--density", "0") == "['density:0']"
    assert shown() == "[]"
    with pytest.raises(click.UsageError, match="give at least one --rule or --density"):
        require_rules([])


MC = Path(sys.executable).with_name("mc")
NAMES = ["a long name of a file.mid", "b.mid"]
WORDS = "a sentence of incomprehensibilities"


def printed(monkeypatch, capsys, **environment) -> list[str]:
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    print_table(["file", "words"], [[name, WORDS] for name in NAMES], text_columns=2)
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()


def test_a_table_in_a_pipe_has_a_line_a_row_and_tabs(monkeypatch, capsys):
    lines = printed(monkeypatch, capsys)
    assert lines == ["file\twords", *(f"{name}\t{WORDS}" for name in NAMES)]


def test_a_table_on_a_narrow_terminal_breaks_no_word_and_no_name(monkeypatch, capsys):
    lines = printed(monkeypatch, capsys, COLUMNS="30", FORCE_COLOR="1")
    assert any(NAMES[0] in line for line in lines)
    assert sum("incomprehensibilities" in line for line in lines) == len(NAMES)


def test_a_table_fits_a_terminal_of_eighty_columns(monkeypatch, capsys):
    """First headings are broken between words, then lines between columns are left out."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    for count, has_lines in ((5, True), (7, False)):
        print_table(["file", *["notes of C-major"] * count], [["o.mid", *["0.57 -> 1"] * count]])
        printed = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
        assert max(map(len, printed)) <= 80
        (line,) = [line for line in printed if "o.mid" in line]
        assert (line.count("0.57 -> 1"), "│" in line) == (count, has_lines)
        assert not any("notes of" in line for line in printed)


def test_output_encodes_on_a_console_of_any_encoding(mc, tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "FORCE_COLOR": "1"}
    command = [MC, "score", "Мелодия.mid", "--rule", "cmajor"]
    write_melody(Melody.from_notes([(0, 256, 60)]), tmp_path / "Мелодия.mid")
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert "???????.mid" in done.stdout.decode("cp1252")


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is told in another way there")
def test_talk_that_nobody_hears_ends_a_command_well(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    line = (
        "from melodyconstraints.cli._common import stderr_console; stderr_console().print('news')"
    )
    program = (
        f"from melodyconstraints.cli import main, ports; ports.command.callback = "
        f"lambda **_: exec({line!r}); main.main(['ports'])"
    )
    done = subprocess.run([sys.executable, "-c", program], stderr=writing)
    os.close(writing)
    assert done.returncode == 0


def test_a_pipe_that_breaks_elsewhere_is_an_error(mc, tiny_actor_folder, monkeypatch):
    def fail(*_, **__):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(MelodyActor, "generate", fail)
    monkeypatch.setattr("melodyconstraints.cli._table._is_closed", lambda stream: False)
    result = mc("generate", "--actor", tiny_actor_folder, "-n", 1)
    assert (result.exit_code, result.stderr) == (1, "Error: Broken pipe\n")


PROGRAM = """
import atexit
import sys
from melodyconstraints.cli import main

class Undone:
    def __del__(self):
        print("taken apart")

def command():
    atexit.register(print, "called at the end")
    sys.exit(CODE)

undone = Undone()
undone.itself = undone
main.main = command
main.program()
"""


@pytest.mark.parametrize(
    ("code", "status", "at_the_end"),
    [
        ("None", 0, ""),
        ("2", 2, ""),
        ("'no number'", 1, "taken apart\n"),
    ],
)
def test_the_program_takes_nothing_apart_at_its_end(code, status, at_the_end):
    program = PROGRAM.replace("CODE", code)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (status, f"called at the end\n{at_the_end}")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_the_program_tells_of_what_it_could_not_print():
    program = PROGRAM.replace("CODE", "0")
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=buffered,
        )
    assert done.returncode == 120
    assert "No space left on device" in done.stderr
