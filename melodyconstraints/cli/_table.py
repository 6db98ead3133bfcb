"""Commands by name, imported when they are asked for; errors as one line and an exit code."""

from __future__ import annotations

import importlib
import io
import os
import select
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import click

from melodyconstraints.errors import MelodyConstraintsError, RuleError
from melodyconstraints.storage.extras import extras_explained
from melodyconstraints.storage.machine import signals_interrupt
from melodyconstraints.storage.text import printable_lines

_STDOUT, _STDERR = 1, 2
Rows = Mapping[str, tuple[str, str]]
"""Name of a command to its module and its summary."""


class Failure(click.ClickException):
    """One line on stderr and an exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it for the class


class CommandTable(click.Group):
    """Commands by name; each module is imported when its command is asked for.

    Args:
        rows: the table.
        package: name of the package that holds the modules.
    """

    def __init__(self, *args: Any, rows: Rows, package: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.rows, self.package = rows, package

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program; what a console's encoding does not have is printed as ``?``.

        Rules that plot open no windows. SIGTERM ends a command as Ctrl-C does.
        """
        os.environ["MPLBACKEND"] = "Agg"
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        with signals_interrupt():
            return super().main(*args, **options)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of use."""
        return list(self.rows)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Parse options; of known ones only near names are suggested for a wrong one."""
        with _system_errors(), _near_options(), _closed_pipes_end():
            return super().make_context(*args, **extra)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; for a wrong name the nearest ones of the table are suggested."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(
                error.command_name, error.message, possibilities=self.rows, ctx=ctx
            ) from error

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command's module."""
        if cmd_name not in self.rows:
            return None
        module = importlib.import_module(f"{self.package}.{self.rows[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.rows.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; errors of the toolkit end it with their exit code."""
        try:
            with _system_errors(), extras_explained(), _near_options(), _closed_pipes_end():
                return super().invoke(ctx)
        except MelodyConstraintsError as error:
            if isinstance(error, RuleError) and error.__cause__ and error.exit_code == 1:
                click.echo("".join(traceback.format_exception(error.__cause__)), err=True)
            raise Failure(printable_lines(str(error)), error.exit_code) from error


@contextmanager
def _system_errors() -> Iterator[None]:
    """Turn errors of the system into one line with the place."""
    try:
        yield
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        message = printable_lines(f"{place}{error.strerror or error}")
        raise click.ClickException(message) from error


@contextmanager
def _closed_pipes_end() -> Iterator[None]:
    """End quietly, and well, where whoever reads the output has had enough, such as ``head``.

    A pipe that breaks elsewhere, to a worker, is an error like others.
    """
    try:
        yield
    except BrokenPipeError as error:
        closed = [stream for stream in (_STDOUT, _STDERR) if _is_closed(stream)]
        if not closed:
            raise
        for stream in closed:  # more may follow at the end of the process
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        raise click.exceptions.Exit(0) from error


def _is_closed(stream: int) -> bool:
    """Whether nothing reads a pipe any more; always where a system cannot tell, as Windows."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(stream, 0)  # errors are reported in any case
    return bool(poll.poll(0))


@contextmanager
def _near_options() -> Iterator[None]:
    """Suggest for an unknown option only names that are near it without their dashes.

    With them click takes ``--help`` for near to ``--tempo``.
    """
    try:
        yield
    except click.NoSuchOption as error:
        names = {name.lstrip("-"): name for name in error.possibilities or ()}
        near = [names[one] for one in get_close_matches(error.option_name.lstrip("-"), names)]
        raise click.NoSuchOption(
            error.option_name, error.message, possibilities=near, ctx=error.ctx
        ) from error
