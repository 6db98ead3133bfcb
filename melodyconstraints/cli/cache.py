"""``mc cache``."""

from __future__ import annotations

from typing import Any

import click

from melodyconstraints.cli._common import json_option, print_json, print_table

_MEGABYTE = 1e6


@click.command("cache")
@click.option("--clear", is_flag=True, help="Remove all of it; it can be made again.")
@json_option
def command(clear: bool, as_json: bool) -> None:
    """List the banks that commands have kept, or remove them.

    \b
    mc cache --clear

    A bank is some thousand melodies that a model decoded ahead: what trainings, mc transform and
    mc rules check begin with. MELODYCONSTRAINTS_CACHE chooses another place.
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.storage.cache import cache_entries, cache_root, clear_cache

    entries = clear_cache() if clear else cache_entries()
    rows: list[dict[str, Any]] = [
        {
            "kind": str(entry.config.get("kind")),
            "megabytes": round(entry.size / _MEGABYTE, 1),
            "folder": str(entry.folder),
        }
        for entry in entries
    ]
    if as_json:
        print_json({"folder": str(cache_root()), "cleared": clear, "entries": rows})
        return
    if rows and not clear:
        cells = ([row["kind"], f"{row['megabytes']:.1f}", row["folder"]] for row in rows)
        print_table(["kind", "MB", "folder"], cells)
    size = sum(entry.size for entry in entries) / _MEGABYTE
    word = "removed from" if clear else "in"
    click.echo(f"{len(rows)} artifacts, {size:.1f} MB, {word} {cache_root()}")
