"""Talk and progress, on stderr: of commands, and of trainings in Python that ask for it.

On a terminal a bar is drawn over and over; in a log file it is a line every half minute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

if TYPE_CHECKING:
    from melodyconstraints.latent.pair import RoundRecord

_LOG_SECONDS = 30.0
"""Between two lines of progress in a log file."""


class OwnConsole(Console):
    """A console that leaves it to the program what happens where nothing reads it any more."""

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError as it is; rich would end the program with 1."""
        raise  # rich calls it where it has caught the error


def talk() -> Console:
    """Where talk and progress go: stderr; lines are broken on a terminal only."""
    console = OwnConsole(stderr=True, highlight=False, markup=False)
    console.soft_wrap = not console.is_terminal
    return console


class SpeedColumn(ProgressColumn):
    """How many a second; what an earlier run had done (the field ``resumed``) does not count."""

    def render(self, task: Task) -> Text:
        """``3,912/s``."""
        done = max(task.completed - task.fields.get("resumed", 0), 0)
        return Text(f"{done / task.elapsed:,.0f}/s" if task.elapsed else "")


class Bar(Progress):
    """A progress bar that also shows where nothing can be drawn over."""

    def __init__(self, *columns: ProgressColumn | str, **options: Any) -> None:
        super().__init__(*columns, **options)
        self._shown = self.get_time()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Take a change in, and print the bar as a line if the last one is some time ago."""
        super().update(task_id, **changes)
        if not (self.console.is_terminal or self.disable):
            now = self.get_time()
            if now - self._shown >= _LOG_SECONDS:
                self._shown = now
                tasks = [task for task in self.tasks if task.id == task_id]
                self.console.print(self.make_tasks_table(tasks))


def progress_bar(unit: str, *, per_second: bool = False) -> Bar:
    """A bar on stderr with count, time taken and time left; the description takes what is left."""
    return Bar(
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TextColumn(unit),
        *([SpeedColumn()] if per_second else []),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
        console=talk(),
        expand=True,
    )


@contextmanager
def rounds_bar(
    rounds: int, names: Sequence[str], callback: Callable[[RoundRecord], None] | None = None
) -> Iterator[tuple[Callable[[RoundRecord], None], Callable[[str], None]]]:
    """A bar over the rounds of an actor-critic training, with the newest rewards.

    Args:
        names: of the rewards, in the order of the records.
        callback: called after every round as well.

    Yields:
        What is to be called after every round, and what prints a line above the bar.
    """
    with progress_bar("rounds") as bar:
        task = bar.add_task("decoding the prior", total=rounds)

        def show(record: RoundRecord) -> None:
            pairs = zip(names, record.rewards, strict=False)
            rewards = ", ".join(f"{name} {reward:.3f}" for name, reward in pairs)
            text = f"all satisfied {record.all_satisfied:.0%}: {rewards}"
            bar.update(task, completed=record.round + 1, description=text)
            if callback:
                callback(record)

        yield show, bar.console.print
