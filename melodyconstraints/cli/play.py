"""``mc play``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melodyconstraints.cli._common import seed_option, stderr_console, tempo_option
from melodyconstraints.storage.text import printable


class SourceType(click.Path):
    """A path that is there, or a name on the Hub."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, or the name in the form of one."""
        is_name = str(value).startswith("hf://")
        return Path(value) if is_name else super().convert(value, param, ctx)


@click.command("play")
@click.argument("source", type=SourceType(path_type=Path, exists=True))
@click.option(
    "--port",
    required=True,
    metavar="NAME",
    help="Port to play on, as mc ports lists it; a part of the name that no other has will do.",
)
@click.option("--virtual", is_flag=True, help="Make the port, for other programs to connect to.")
@click.option("--loop", is_flag=True, help="Start again at the end.")
@click.option("--clock", is_flag=True, help="Send a MIDI clock, which other devices can follow.")
@click.option("--follow", metavar="NAME", help="Follow the MIDI clock that this port sends.")
@tempo_option(help="Quarter notes a minute.  [default: the file's, or 120]")
@click.option(
    "--program",
    type=click.IntRange(0, 127),
    help="General MIDI instrument.  [default: the file's, or 0]",
)
@click.option(
    "--channel", type=click.IntRange(1, 16), help="MIDI channel.  [default: the file's, or 1]"
)
@seed_option
def command(source: Path, port: str, follow: str | None, **options: Any) -> None:
    """Play a MIDI file, a folder of them, or melodies that an actor draws without end.

    \b
    mc play out/ --port "Midi Through" --loop
    mc play actors/mine --port Melodies --virtual --clock
    mc play hf://me/dense --port Melodies --virtual
    mc play song.mid --port Synth --follow "My DAW" --channel 2

    Ctrl-C ends it, with every note that sounds. --follow waits for the start of the clock.
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.workflows.play import play

    def announce(line: str) -> None:
        stderr_console().print(printable(line), soft_wrap=True)

    play(source, port, follow=follow, announce=announce, **options)
