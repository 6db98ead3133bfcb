"""``mc ports``."""

from __future__ import annotations

import click

from melodyconstraints.cli._common import json_option, print_json, print_table
from melodyconstraints.storage.text import printable


@click.command("ports")
@json_option
def command(as_json: bool) -> None:
    """List the MIDI ports that mc play can play on (outputs) and follow (inputs)."""
    from melodyconstraints.errors import PortError
    from melodyconstraints.melody.midi.ports import REMEDY, port_names

    names = port_names()
    if as_json:
        print_json(names._asdict())
    elif not any(names):
        raise PortError(f"there is no MIDI port; {REMEDY}")
    else:
        kinds = zip(("output", "input"), names, strict=True)
        rows = [(kind, printable(name)) for kind, listed in kinds for name in listed]
        print_table(["", "MIDI port"], rows, text_columns=2)
