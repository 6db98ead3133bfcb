"""``mc``, the program."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence

import click

from melodyconstraints import __version__
from melodyconstraints.cli._table import CommandTable

COMMANDS = {
    "extract-melodies": ("extract_melodies", "16-bar melodies from a folder of MIDI files."),
    "train-vae": ("train_vae", "Train a melody model on extracted melodies."),
    "train-actor": ("train_actor", "Train an actor for your rules; the model stays as it is."),
    "generate": ("generate", "Write melodies as MIDI files."),
    "compare": ("compare", "The same melodies under several actors, side by side."),
    "transform": ("transform", "Your own melody, changed as little as rules need."),
    "reroll": ("reroll", "Others in place of your melody, with some bars kept."),
    "reconstruct": ("reconstruct", "Encode your melodies, decode them, and compare."),
    "interpolate": ("interpolate", "Write the melodies between two of yours."),
    "score": ("score", "Rewards of MIDI files under rules."),
    "play": ("play", "Play melodies on a MIDI port, in time."),
    "ports": ("ports", "List the MIDI ports."),
    "evaluate": ("evaluate", "Measure an actor, or a melody model."),
    "rules": ("rules", "List and explain the rules; start and check your own."),
    "bank": ("bank", "Decode melodies of a model ahead; rules are tried on them."),
    "push": ("push", "Upload a model or an actor to the Hugging Face Hub."),
    "cache": ("cache", "List and empty what commands have kept."),
    "studio": ("studio", "A page to hear and change melodies, and an API."),
    "images": ("images", "The same for images: digits, faces, your own pictures."),
}


@click.command(
    cls=CommandTable,
    rows=COMMANDS,
    package="melodyconstraints.cli",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="mc", message="%(prog)s %(version)s")
def main() -> None:
    """Melodies that satisfy your rules: one voice, 16 bars of 4/4.

    \b
    mc generate --scale D-dorian --form AABA -n 4 --plot -o out/
    mc transform song.mid --key A-minor -o out.mid
    mc train-actor --rule cmajor --density 192 -o actors/dense
    mc generate --actor actors/dense -n 64 -o dense/
    """  # noqa: D301 (click wants the character)


def program() -> None:
    """``mc`` as a process of its own.

    Imports of torch make half a million objects of which none is garbage: to look for some among
    them again and again, and to take them apart at the end of the process, takes half a second.
    """
    gc.set_threshold(_NEW_OBJECTS)
    codes: list[int] = []
    atexit.register(_leave, codes)  # what is registered first is called last
    try:
        main()
    except SystemExit as end:
        codes += [end.code or 0] if isinstance(end.code, int | None) else []
        raise


_NEW_OBJECTS = 500_000
"""New objects after which garbage is looked for; as Python has it, 700."""


def _leave(codes: Sequence[int]) -> None:
    """End the process with its exit code, if it has one, and take nothing apart before."""
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    except (OSError, ValueError):
        return  # Python says of it what it says
    for code in codes:
        os._exit(code)
