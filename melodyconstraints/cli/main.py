"""``mc``: finds the command, and turns the toolkit's errors into one line and an exit code."""

from __future__ import annotations

import importlib
import traceback
from typing import Any

import click

from melodyconstraints import __version__
from melodyconstraints.disk import printable
from melodyconstraints.errors import MelodyConstraintsError, RuleError

COMMANDS = {
    "extract-melodies": ("extract_melodies", "16-bar melodies from a folder of MIDI files."),
    "train-vae": ("train_vae", "Train a melody model on extracted melodies."),
    "train-actor": ("train_actor", "Teach a model your rules, without retraining it."),
    "generate": ("generate", "Write melodies as MIDI files."),
    "transform": ("transform", "Your own melody, changed as little as rules need."),
    "reconstruct": ("reconstruct", "What comes back of your melodies from the model."),
    "interpolate": ("interpolate", "Write the melodies between two of yours."),
    "score": ("score", "What MIDI files earn under rules."),
    "evaluate": ("evaluate", "Measure an actor, or a melody model."),
    "rules": ("rules", "List and explain the rules; start and check your own."),
    "bank": ("bank", "Decode melodies of a model ahead, for rules to be tried on."),
}


class Failure(click.ClickException):
    """One line on stderr and an exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it for the class


class CommandTable(click.Group):
    """Commands by name; each module is imported when its command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command's module."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"melodyconstraints.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; errors of the toolkit end it with their exit code."""
        try:
            return super().invoke(ctx)
        except MelodyConstraintsError as error:
            if isinstance(error, RuleError) and error.__cause__ and error.exit_code == 1:
                click.echo("".join(traceback.format_exception(error.__cause__)), err=True)
            raise Failure(_harmless(str(error)), error.exit_code) from error
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            message = _harmless(f"{place}{error.strerror or error}")
            raise click.ClickException(message) from error


def _harmless(message: str) -> str:
    """Names of files are in it, and may be anything."""
    return "\n".join(map(printable, message.split("\n")))


@click.command(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mc", message="%(prog)s %(version)s")
def main() -> None:
    """Melodies that obey your rules.

    \b
    mc train-actor --rule cmajor --density 192 -o actors/mine
    mc generate --actor actors/mine -n 16 -o out/ --plot
    """  # noqa: D301 (click wants the character)
