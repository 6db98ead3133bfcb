"""Options and output that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.core import ParameterSource

from melodyconstraints.latent.progress import OwnConsole
from melodyconstraints.latent.progress import progress_bar as progress_bar
from melodyconstraints.latent.progress import stderr_console as stderr_console
from melodyconstraints.storage.arguments import DEFAULT_SEED, check_seed
from melodyconstraints.storage.text import json_text

if TYPE_CHECKING:
    from rich.table import Table

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]

FOLDER = click.Path(path_type=Path, file_okay=False)
"""A folder that may not exist yet."""


_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """``90s``, ``30m``, ``1.5h`` as seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse, or fail with what is wanted."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", str(value))
        if not match:
            self.fail(f"{value!r} is no duration; write 90s, 30m or 1.5h", param, ctx)
        seconds = float(match[1]) * _UNIT_SECONDS[match[2]]
        return seconds or self.fail("a duration must be above 0", param, ctx)


def option_group(
    name: str, make: Callable[..., Any], options: Mapping[str, Decorator]
) -> Callable[[Command], Command]:
    """Several options that a command is handed as one argument.

    Args:
        name: name of that argument.
        make: function from the options' values, by name, to the argument.
        options: decorators of click by the names of the values that they hand over.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_group(*args: Any, **keywords: Any) -> Any:
            own = {key: keywords.pop(key) for key in options}
            return command(*args, **{name: make(**own)}, **keywords)

        decorated: Any = with_group
        for option in reversed(list(options.values())):
            decorated = option(decorated)
        return cast(Command, decorated)

    return decorate


class NotesType(click.ParamType[str]):
    """Notes in 16 bars: a least number, or a range such as ``40..60``."""

    name = "notes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text, where it is an argument of the rule ``density``."""
        from melodyconstraints.errors import UsageError
        from melodyconstraints.rules.rhythm import density_rule

        try:
            density_rule("density", value)
        except UsageError as error:
            self.fail(str(error), param, ctx)
        return str(value)


def rule_specs(rules: Sequence[str], density: str | None) -> list[str]:
    """Specifications of all rules that were given."""
    return [*rules, *([] if density is None else [f"density:{density}"])]


RULE_OPTIONS = {
    "rules": click.option(
        "--rule",
        "rules",
        multiple=True,
        metavar="RULE",
        help="cmajor, scale:D-dorian, my_rules.py:my_rule, ... May be given several times.",
    ),
    "density": click.option(
        "--density",
        type=NotesType(),
        help="At least so many notes in 16 bars, or a range: 40..60; short for --rule density:N.",
    ),
}
rule_options = option_group("specs", rule_specs, RULE_OPTIONS)
"""``--rule`` (several) and ``--density``, handed over as ``specs``, a list of specifications."""


@contextmanager
def resume_hint() -> Iterator[None]:
    """Say how to go on if the user interrupts a command that --resume goes on with."""
    try:
        yield
    except KeyboardInterrupt:
        stderr_console().print("stopped; go on from here with --resume")
        raise


def require_rules(specs: Sequence[str]) -> None:
    """Refuse a command without rules."""
    if not specs:
        raise click.UsageError("give at least one --rule or --density")


def refuse_options(context: click.Context, names: Sequence[str], belongs_to: str) -> None:
    """Refuse parameters, where they were given, that have no meaning in this use of a command."""
    for parameter in context.command.params:
        given = context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        if parameter.name in names and given:
            raise click.UsageError(f"{parameter.opts[0]} goes with {belongs_to} only")


model_option = click.option(
    "--model",
    "model_folder",
    type=FOLDER,
    help="Model folder, hf://owner/name, or 'bundled', a smaller kind.  "
    "[default: the packaged staff generator]",
)


def _check_tempo(
    context: click.Context, option: click.Parameter, tempo: float | None
) -> float | None:
    """Refuse, before any work, a tempo that is no number."""
    from melodyconstraints.melody.units import check_tempo

    return None if tempo is None else check_tempo(tempo)


def tempo_option(**settings: Any) -> Decorator:
    """``--tempo``, with the settings of :func:`click.option`."""
    bounds = click.FloatRange(10, 1000)
    return click.option("--tempo", type=bounds, callback=_check_tempo, **settings)


def _check_melodies(
    context: click.Context, option: click.Parameter, count: int | None
) -> int | None:
    """Refuse, before any work, more melodies than fit the memory."""
    if count is not None:
        from melodyconstraints.workflows.seeds import check_count

        check_count(count)
    return count


def count_option(*names: str, least: int = 1, **settings: Any) -> Decorator:
    """Option for the number of melodies, with the settings of :func:`click.option`."""
    return click.option(*names, type=click.IntRange(least), callback=_check_melodies, **settings)


def _check_seed(context: click.Context, option: click.Parameter, seed: int) -> int:
    """Refuse, before any work, a seed that starts no generator."""
    check_seed(seed)
    return seed


def seed_option_of(default: int) -> Decorator:
    """``--seed``."""
    bounds = click.IntRange(0)
    return click.option(
        "--seed", type=bounds, callback=_check_seed, default=default, show_default=True
    )


seed_option = seed_option_of(DEFAULT_SEED)
_TEMPERATURE = "The decoder's temperature: 0 takes the likeliest events, 1 follows the model."
_temperature = click.option(
    "--temperature",
    type=click.FloatRange(0),
    help=f"{_TEMPERATURE}  [default: the actor's, 0.5]",
)
_truncation = {
    "top_k": click.option(
        "--top-k", type=click.IntRange(1), help="Draw from the K likeliest events only."
    ),
    "top_p": click.option(
        "--top-p",
        type=click.FloatRange(0, 1, min_open=True),
        help="Draw from the likeliest events that reach the probability P together.",
    ),
}
form_option = click.option(
    "--form",
    metavar="FORM",
    help="Which bars repeat which: AABA, ABA'C, ...; none.  [default: drawn with each melody]",
)
sampling_options = option_group(
    "sampling",
    dict,
    {"seed": seed_option, "temperature": _temperature, "form": form_option, **_truncation},
)
"""Sampling options, handed over as ``sampling``, keywords of ``Sampling``."""
measuring_options = option_group(
    "sampling", dict, {"temperature": _temperature, "seed": seed_option}
)
"""Sampling options without truncation and form."""
likeliest_options = option_group(
    "sampling",
    dict,
    {
        "temperature": click.option(
            "--temperature",
            type=click.FloatRange(0),
            default=0.0,
            show_default=True,
            help=_TEMPERATURE,
        ),
        "seed": seed_option,
    },
)
"""Sampling options that take the likeliest events by default."""
_UNBOUNDED = 1_000_000
"""Columns of a terminal in which no table is cramped."""
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def print_json(value: Any) -> None:
    """One JSON object on stdout."""
    click.echo(json_text(value))


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    title: str | None = None,
    *,
    text_columns: int = 1,
) -> None:
    """A table on stdout; the first ``text_columns`` are set to the left, numbers to the right.

    A row of one cell heads the rows below it. To fit the terminal, the last of several columns of
    text is broken between words, then headings are, then lines between columns are left out; a
    table that is too wide nevertheless runs over the edge. In a pipe each row is a line with tabs
    between its cells.
    """
    rows = list(rows)
    console = OwnConsole(highlight=False, markup=False)
    if not console.is_terminal:
        if title:
            click.echo(title)
        for line in [columns, *rows]:
            click.echo("\t".join([*line, *[""] * (len(columns) - len(line))]))
        return
    wide = console.options.update(max_width=_UNBOUNDED)
    broken = _broken(columns, rows)
    for headings, bordered in ((columns, True), (broken, True), (broken, False)):
        table = _table(headings, rows, title, text_columns, bordered=bordered)
        least = console.measure(table, options=wide).minimum
        if least <= console.width:
            break
    console.width = max(console.width, least)
    console.print(table)


def _broken(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Headings that are wider than what stands below them, each word on a line of its own."""
    broken = []
    for index, heading in enumerate(headings):
        widest = max((len(row[index]) for row in rows if len(row) > index), default=0)
        broken.append("\n".join(heading.split()) if len(heading) > widest else heading)
    return broken


def _table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    title: str | None,
    text_columns: int,
    *,
    bordered: bool,
) -> Table:
    """A table for a terminal; see :func:`print_table`."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    if not bordered:
        table.box, table.show_edge, table.padding = box.SIMPLE_HEAD, False, (0, 0)
    for index, heading in enumerate(headings):
        sentences = 0 < index == text_columns - 1
        cells = [cell for row in rows for cell in row[index : index + 1]]
        unbroken = [word for text in [heading, *cells] for word in text.split()]
        widest = unbroken if sentences else [*heading.split("\n"), *cells]
        table.add_column(
            heading,
            justify="left" if index < text_columns else "right",
            no_wrap=not sentences,
            min_width=max(map(len, widest)),
        )
    for row in rows:
        if len(row) == 1 < len(headings):
            table.add_section()
        table.add_row(*row, style="bold" if len(row) == 1 < len(headings) else None)
    return table
