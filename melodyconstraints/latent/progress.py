"""News and progress, on stderr: of commands, and of trainings in Python that ask for it.

On a terminal a bar is drawn over and over; in a log file it is a line every half minute, whether
there is anything new or not: its reader sees that the work goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from melodyconstraints.latent.satisfaction import reward_text

if TYPE_CHECKING:
    from melodyconstraints.latent.pair import RoundRecord

_LOG_SECONDS = 30.0
"""Seconds between two lines of progress in a log file."""


class OwnConsole(Console):
    """A console that leaves it to the program what happens where nothing reads it any more."""

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError as it is; rich would end the program with 1."""
        raise  # rich calls it where it has caught the error


def stderr_console() -> Console:
    """Console of news and progress, on stderr; lines are broken on a terminal only."""
    console = OwnConsole(stderr=True, highlight=False, markup=False)
    console.soft_wrap = not console.is_terminal
    return console


class SpeedColumn(ProgressColumn):
    """Speed a second; what an earlier run had done (the field ``resumed``) does not count."""

    def render(self, task: Task) -> Text:
        """``3,912/s``."""
        done = max(task.completed - task.fields.get("resumed", 0), 0)
        return Text(f"{done / task.elapsed:,.0f}/s" if task.elapsed else "")


class UnitColumn(ProgressColumn):
    """Name of what a task counts: its field ``unit``, or that of the bar.

    Args:
        unit: the bar's.
    """

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """``rounds``."""
        return Text(task.fields.get("unit", self._unit))


class TimeLeftColumn(TimeRemainingColumn):
    """Time left; nothing where it is not known."""

    def render(self, task: Task) -> Text:
        """``left 0:01:30``."""
        if task.time_remaining is None and not task.finished:
            return Text("")
        return Text.assemble("left ", super().render(task))


class Bar(Progress):
    """A progress bar that also shows where nothing can be drawn over.

    One that is ``transient`` leaves nothing on a terminal when it ends, and in a log no last line.
    """

    def __init__(self, *columns: ProgressColumn | str, **options: Any) -> None:
        super().__init__(*columns, **options)
        self._stopped: Event | None = None
        self._logger: Thread | None = None

    @property
    def _is_logged(self) -> bool:
        return not (self.console.is_terminal or self.disable)

    def start(self) -> None:
        """Show the bar, if it is not shown; in a log, a thread prints it from time to time."""
        super().start()
        if self._is_logged and self._stopped is None:
            self._stopped = Event()
            self._logger = Thread(target=self._log, args=[self._stopped], daemon=True)
            self._logger.start()

    def stop(self) -> None:
        """End the bar, in a log with a last line."""
        if self._stopped is not None and self._logger is not None:
            self._stopped.set()
            self._logger.join()
            self._stopped = self._logger = None
        if self._is_logged and self.live.transient:
            self.live.stop()  # rich would add an empty line
        else:
            super().stop()

    def _log(self, stopped: Event) -> None:
        with suppress(OSError):  # where nothing reads it any more the main thread will see that
            while not stopped.wait(_LOG_SECONDS):
                self.console.print(self.make_tasks_table(self.tasks))


def progress_bar(unit: str, *, per_second: bool = False, transient: bool = False) -> Bar:
    """A bar on stderr with count, time taken and time left; the description takes what is left.

    Args:
        unit: name of what is counted.
        per_second: whether it shows how many a second.
        transient: whether it leaves nothing behind; see :class:`Bar`.
    """
    return Bar(
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        UnitColumn(unit),
        *([SpeedColumn()] if per_second else []),
        TimeElapsedColumn(),
        TimeLeftColumn(),
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
        console=stderr_console(),
        expand=True,
        transient=transient,
    )


class RoundsBar(NamedTuple):
    """Functions that show an actor-critic training on a bar.

    Args:
        show: callback for every round.
        warm_up: callback in the warm-up; see :func:`.training.train_actor_critic`.
        announce: prints a line above the bar.
    """

    show: Callable[[RoundRecord], None]
    warm_up: Callable[[str, int, int], None]
    announce: Callable[[str], None]


@contextmanager
def rounds_bar(
    rounds: int,
    describe: Callable[[RoundRecord], str],
    callback: Callable[[RoundRecord], None] | None = None,
) -> Iterator[RoundsBar]:
    """A bar over the warm-up of an actor-critic training, and then over its rounds.

    Args:
        describe: text of a round, such as :func:`rewards_text`.
        callback: called after every round as well.
    """
    with progress_bar("rounds") as bar:
        task = bar.add_task("preparing", total=rounds)
        warm_up_task = bar.add_task("before the first round", visible=False)

        def show(record: RoundRecord) -> None:
            bar.update(warm_up_task, visible=False)
            text = describe(record)
            bar.update(task, visible=True, completed=record.round + 1, description=text)
            if callback:
                callback(record)

        units: list[str] = []

        def warm_up(unit: str, done: int, count: int) -> None:
            if unit not in units:  # another speed, and another time left
                units.append(unit)
                bar.reset(warm_up_task, unit=unit)
            bar.update(task, visible=False)
            bar.update(warm_up_task, visible=True, total=count, completed=done)

        yield RoundsBar(show, warm_up, bar.console.print)


def rewards_text(names: Sequence[str], record: RoundRecord) -> str:
    """The share of a round that satisfies all rewards, and the means of these by name."""
    pairs = zip(names, record.rewards, strict=False)
    rewards = ", ".join(f"{name} {reward_text(reward)}" for name, reward in pairs)
    return f"all satisfied {record.all_satisfied:.0%}: {rewards}"
