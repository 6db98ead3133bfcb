"""``mc push``."""

from __future__ import annotations

from pathlib import Path

import click

from melodyconstraints.cli._common import json_option, print_json


@click.command("push")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("name", metavar="hf://OWNER/NAME")
@click.option("--private", is_flag=True, help="A repository that is made is private.")
@click.option("--model", metavar="hf://OWNER/NAME", help="Where the model of the actor is.")
@json_option
def command(folder: Path, name: str, private: bool, model: str | None, as_json: bool) -> None:
    """Upload a model or an actor; others read it by its name, as --model or --actor.

    \b
    mc push models/mine hf://me/tunes
    mc push actors/dense hf://me/dense --model hf://me/tunes

    The account is that of hf auth login. Rule files of yours are not uploaded, but the actor names
    them by their paths.
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.storage.hub import push

    commit = push(folder, name, private=private, model=model)
    if as_json:
        print_json({"name": name, "commit": commit})
    else:
        click.echo(commit)
