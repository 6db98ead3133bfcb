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
    """List the actors and banks that commands have kept, or remove them.

    mc generate --rule and mc transform --rule keep the actor that they train, for the next time.
    MELODYCONSTRAINTS_CACHE chooses another place.
    """
    from melodyconstraints.storage.cache import cache_entries, cache_root, clear_cache

    entries = clear_cache() if clear else cache_entries()
    rows: list[dict[str, Any]] = [
        {
            "kind": str(entry.config.get("kind")),
            "rules": [str(rule["name"]) for rule in entry.config.get("rules", [])],
            "megabytes": round(entry.size / _MEGABYTE, 1),
            "folder": str(entry.folder),
        }
        for entry in entries
    ]
    if as_json:
        print_json({"folder": str(cache_root()), "cleared": clear, "entries": rows})
        return
    if rows and not clear:
        cells = (
            [row["kind"], " ".join(row["rules"]), f"{row['megabytes']:.1f}", row["folder"]]
            for row in rows
        )
        print_table(["kind", "rules", "MB", "folder"], cells, text_columns=2)
    size = sum(entry.size for entry in entries) / _MEGABYTE
    word = "removed from" if clear else "in"
    click.echo(f"{len(rows)} artifacts, {size:.1f} MB, {word} {cache_root()}")
