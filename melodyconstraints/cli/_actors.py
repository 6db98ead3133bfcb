"""Options of commands that need an actor: it is read, or melodies are searched for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from melodyconstraints.cli._common import (
    FOLDER,
    RULE_OPTIONS,
    model_option,
    option_group,
    progress_bar,
    rule_specs,
    stderr_console,
)
from melodyconstraints.storage.text import counted, printable

if TYPE_CHECKING:
    from melodyconstraints.melody.events import Melodies
    from melodyconstraints.workflows.actor import MelodyActor

actor_option = click.option(
    "--actor", "actor_folder", type=FOLDER, help="Actor folder, or hf://owner/name."
)
rules_from_option = click.option(
    "--rules-from",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="With --actor: file of its rules that has moved. May be given several times.",
)
allow_code_option = click.option(
    "--allow-code",
    is_flag=True,
    help="With --actor: run the Python files of its rules, which the folder's maker has written.",
)

_REASONS = 3
"""Most files without a melody whose reasons are printed."""
_EXAMPLES = click.Path(path_type=Path, exists=True, file_okay=False)
example_options = option_group(
    "examples",
    dict,
    {
        "like": click.option(
            "--like",
            type=_EXAMPLES,
            help="Folder of MIDI that the melodies should be like; needs --unlike.",
        ),
        "unlike": click.option(
            "--unlike", type=_EXAMPLES, help="Folder of MIDI that they should not be like."
        ),
    },
)
"""Examples, handed over as ``examples``, keywords of ``train_actor`` and ``evaluate_actor``."""


def check_one_source(actor_folder: Path | None, specs: Sequence[str]) -> None:
    """Refuse an actor, which has rules of its own, together with rules."""
    if actor_folder is not None and specs:
        raise click.UsageError("give either --actor, or rules by --rule and --density")


@dataclass(frozen=True)
class ActorSource:
    """Options of what moves latent points: an actor, knobs, rules to search for; or nothing."""

    actor_folder: Path | None
    model_folder: Path | None
    rules: tuple[str, ...]
    density: str | None
    scale: str | None
    rules_from: tuple[Path, ...] = ()
    allow_code: bool = False
    like: Path | None = None

    @property
    def specs(self) -> list[str]:
        return rule_specs(self.rules, self.density)

    def require_rules(self, text: str = "give") -> None:
        """Refuse a command without an actor, a knob or a rule."""
        if self.actor_folder is None and self.scale is None and not self.specs:
            raise click.UsageError(f"{text} --actor, --scale, --rule or --density")

    def check(self) -> None:
        """Refuse options that do not go together."""
        check_one_source(self.actor_folder, self.specs)
        if self.rules_from and self.actor_folder is None:
            raise click.UsageError("--rules-from goes with --actor only")
        if self.allow_code and self.actor_folder is None:
            raise click.UsageError("--allow-code goes with --actor only")
        if self.scale is not None and self.actor_folder is not None:
            raise click.UsageError(
                "--scale does not go with --actor, which has rules of its own; leave one out"
            )
        if self.like is not None and self.actor_folder is not None:
            raise click.UsageError(
                "--like does not go with --actor; train an actor with --like and --unlike instead"
            )

    def find(self) -> MelodyActor | None:
        """The actor, or what searches the model's melodies; None without rules and examples."""
        sources = (self.actor_folder, self.scale, self.like)
        if not self.specs and all(one is None for one in sources):
            return None

        from melodyconstraints.workflows.models import load_model
        from melodyconstraints.workflows.untrained_actor import searching_actor

        if self.actor_folder is not None:
            return self._read_actor(self.actor_folder)
        like = self._read_liked()
        model = load_model(self.model_folder)
        return searching_actor(
            model, self.rules, scale=self.scale, density=self.density, like=like
        )

    def transforming(self, key: str | None) -> MelodyActor:
        """The actor, or what moves a melody without a training; see :func:`.transforming`."""
        if self.actor_folder is not None:
            return self._read_actor(self.actor_folder)

        from melodyconstraints.workflows.models import load_model
        from melodyconstraints.workflows.transform import transforming

        model = load_model(self.model_folder)
        return transforming(model, self.scale, self.density, self.rules, key)

    def _read_actor(self, folder: Path) -> MelodyActor:
        from melodyconstraints.workflows.load_actor import load_actor
        from melodyconstraints.workflows.models import load_model

        return load_actor(
            folder,
            model=None if self.model_folder is None else load_model(self.model_folder),
            rules_from=self.rules_from,
            allow_code=self.allow_code,
        )

    def _read_liked(self) -> Melodies | None:
        """The examples, if any; stderr says how many there are, and why some files have none."""
        if self.like is None:
            return None

        from melodyconstraints.workflows.examples import read_liked

        reasons: list[str] = []
        melodies = read_liked(self.like, reasons.append)
        more = len(reasons) - _REASONS
        for line in [*reasons[:_REASONS], *([f"and {more} more"] if more > 0 else [])]:
            stderr_console().print(line)
        count = counted(len(melodies), "melody", "melodies")
        stderr_console().print(printable(f"like {count} of {self.like}"))
        return melodies


_SOURCE = {
    "actor_folder": actor_option,
    "model_folder": model_option,
    **RULE_OPTIONS,
    "scale": click.option(
        "--scale",
        help="D-dorian, or pitch classes such as C,D,E,G,A: no training.",
    ),
    "rules_from": rules_from_option,
    "allow_code": allow_code_option,
}
_like_option = click.option(
    "--like",
    type=click.Path(path_type=Path, exists=True),
    help="Folder of MIDI, or a file, that the melodies should be like: no training.",
)
source_options = option_group("source", ActorSource, _SOURCE)
sampling_source_options = option_group("source", ActorSource, {**_SOURCE, "like": _like_option})
"""Options of a source, with examples, for commands that draw all of a melody anew."""


@dataclass
class Shown:
    """Actor that shows a bar as it draws, and the number of melodies that it drew."""

    actor: MelodyActor
    drawn: int


@contextmanager
def search_shown(actor: MelodyActor, wanted: int) -> Iterator[Shown]:
    """Show a bar on stderr that counts an actor's melodies, of a search only satisfying ones.

    Args:
        wanted: number of melodies at which the bar is full.

    Yields:
        The actor that shows it.
    """
    from melodyconstraints.workflows.search import SearchActor

    shown = Shown(actor, wanted)
    is_search = isinstance(actor, SearchActor) and bool(actor.active_rules)
    with sampling_shown(wanted, is_search=is_search) as show:

        def count(found: int, drawn: int) -> None:
            shown.drawn = drawn
            show(found, drawn)

        shown.actor = replace(actor, callback=count)
        yield shown


@contextmanager
def sampling_shown(
    wanted: int, *, is_search: bool = False
) -> Iterator[Callable[[int, int], object]]:
    """Show a bar on stderr that counts melodies as they are drawn.

    The bar of a search stays when it ends, with the number of draws; others disappear.

    Args:
        wanted: number of melodies at which the bar is full.

    Yields:
        Callback that takes the number of melodies and the number drawn for them.
    """
    unit = "satisfy every rule" if is_search else "melodies"
    with progress_bar(unit, transient=not is_search) as bar:
        task = bar.add_task("", total=wanted)

        def show(found: int, drawn: int) -> None:
            more = f"{drawn:,} drawn" if is_search or drawn > found else ""
            bar.update(task, completed=min(found, wanted), description=more)

        yield show
