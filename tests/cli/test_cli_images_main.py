"""``mc images``: help, and what it does not load."""

import subprocess
import sys

import click
import pytest

from melodyconstraints.cli.images import COMMANDS, command
from melodyconstraints.cli.images._common import split_names

WITHOUT_TORCH = """
import sys
from click.testing import CliRunner
from melodyconstraints.cli.images import COMMANDS
from melodyconstraints.cli.main import main

for arguments in ([], *([name] for name in COMMANDS)):
    result = CliRunner().invoke(main, ["images", *arguments, "--help"])
    assert result.exit_code == 0, result.output
print({"torch", "PIL", "sklearn", "matplotlib"} & set(sys.modules))
"""


def test_help_lists_every_command_with_its_summary(mc):
    result = mc("images", "--help")
    assert result.exit_code == 0
    for name, (_, summary) in COMMANDS.items():
        lines = [line.split(maxsplit=1) for line in result.output.splitlines()]
        assert [name, summary] in lines


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(mc, name):
    result = mc("images", name, "-h")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: main images {name}")
    assert "\\b" not in result.output
    for parameter in command.get_command(click.Context(command), name).params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[0] in result.output
            assert parameter.help or parameter.show_default, parameter.name


def test_help_loads_no_heavy_library():
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_TORCH], capture_output=True, text=True
    )
    assert (result.stdout, result.stderr) == ("set()\n", "")


def test_an_unknown_command_is_wrong_usage(mc):
    result = mc("images", "paint")
    assert result.exit_code == 2
    assert "No such command 'paint'" in result.stderr


def test_names_are_split_at_commas():
    option = click.Option(["--with"])
    context = click.Context(click.Command("test"))
    names = split_names(context, option, ("Wearing Hat, male", "young"))
    assert names == ("Wearing Hat", "male", "young")
    with pytest.raises(click.BadParameter, match="'a,,b': write names with commas between them"):
        split_names(context, option, ("male", "a,,b"))
