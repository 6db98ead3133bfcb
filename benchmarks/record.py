"""Run the benchmarks, and keep what each prints in ``docs/measured``, for the pages of the site.

::

    python benchmarks/record.py --list
    python benchmarks/record.py cost rules
    python benchmarks/record.py --store STORE --midi MIDI_DIR

Without names all run, as far as what they need is given; some take hours. Of a benchmark that
fails the old record stays.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from datetime import date
from itertools import groupby
from pathlib import Path

import click
import torch

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "docs" / "measured"
TAB = "\t"
RECORDS = {
    "balance": "python benchmarks/balance.py STORE",
    "commands": "python benchmarks/commands.py FILE.mid",
    "comparisons": "python benchmarks/comparisons.py STORE",
    "constraints-knobs": "python benchmarks/constraints.py knobs",
    "constraints-methods": "python benchmarks/constraints.py methods",
    "constraints-presets": "python benchmarks/constraints.py presets",
    "constraints-tradeoff": "python benchmarks/constraints.py tradeoff STORE",
    "constraints-transform": "python benchmarks/constraints.py transform STORE -n 20",
    "constraints-users": "python benchmarks/constraints.py users",
    "cost": "python benchmarks/cost.py",
    "evaluate": "mc evaluate --data STORE -n 1024 --seed 301",
    "extraction": "python benchmarks/extraction.py MIDI_DIR --hostile HOSTILE_DIR",
    "against-note-seq": "python benchmarks/against_note_seq.py MIDI_DIR",
    "formats": "python benchmarks/formats.py",
    "knobs-every-scale": "python benchmarks/knobs.py STORE --only every-scale",
    "knobs-scales": "python benchmarks/knobs.py STORE --only scales",
    "knobs-scales-trained": "python benchmarks/knobs.py STORE --only scales --trained ACTORS_DIR",
    "knobs-values": "python benchmarks/knobs.py STORE -n 64 --only values",
    "leak": "python benchmarks/leak.py STORE MIDI_DIR",
    "like": "python benchmarks/like.py LIKE_DIR UNLIKE_DIR",
    "loaded": "python benchmarks/loaded.py",
    "model": "python benchmarks/model.py",
    "modes": "python benchmarks/modes.py STORE MIDI_DIR",
    "play": "python benchmarks/play.py --seconds 60",
    "play-virtual": "python benchmarks/play.py --seconds 60 --virtual",
    "rules": "python benchmarks/rules.py",
    "search-time": "python benchmarks/search.py time",
    "search-realism": "python benchmarks/search.py realism STORE",
    "studio": "python benchmarks/studio.py --times 7",
    "ten-machines": "python benchmarks/ten_machines.py MIDI_DIR --songs SONGS_DIR",
    "typical-bounds": "python benchmarks/typical.py bounds STORE",
    "typical-degrees": "python benchmarks/typical.py degrees STORE",
    "typical-found": "python benchmarks/typical.py found",
}
"""Name of each record, and its command; capitals stand for what the options name."""
NOT_RECORDED = {
    "constraint_pictures.py": "a part of constraints.py",
    "images.py": "needs faces, and actors trained on them, that are not ours",
    "moved_melodies.py": "a part of constraints.py",
    "note_seq_causes.py": "a part of against_note_seq.py",
    "note_seq_reader.py": "a part of against_note_seq.py",
    "package.py": "make package",
    "record.py": "this",
    "users_rules.py": "rules that others read",
}
"""Files beside this that have no record, and why."""
NEEDS = {
    "STORE": "store",
    "MIDI_DIR": "midi",
    "HOSTILE_DIR": "hostile",
    "ACTORS_DIR": "actors",
    "SONGS_DIR": "songs",
    "FILE.mid": "file",
    "LIKE_DIR": "like",
    "UNLIKE_DIR": "unlike",
}
"""What stands in a command, and the option that names it."""


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(RECORDS)), metavar="[NAME]...")
@click.option("--list", "is_list", is_flag=True, help="Print names and commands.")
@click.option("--store", help="What mc extract-melodies makes.")
@click.option("--midi", help="Folder of MIDI files.")
@click.option("--hostile", help="Folder of files that are hard to read.")
@click.option("--songs", help="Folder of whole songs.")
@click.option("--file", help="A MIDI file.")
@click.option("--actors", help="Folder of an actor for each scale, or where to train them.")
@click.option("--like", help="Folder of MIDI that melodies should be like.")
@click.option("--unlike", help="Folder of MIDI that they should not be like.")
def main(names: tuple[str, ...], is_list: bool, **paths: str | None) -> None:
    """Run the benchmarks NAME, or all, and keep what they print."""
    where = _where()  # records of one run are of one commit, which the first of them changes
    for name in names or RECORDS:
        command = RECORDS[name]
        words = [word for word in command.split() if word in NEEDS and not paths[NEEDS[word]]]
        if is_list:
            click.echo(f"{name:<22}{command}")
        elif words:
            options = " and ".join(f"--{NEEDS[word]}" for word in words)
            click.echo(f"{name}: needs {options}", err=True)
        else:
            record(name, command, paths, where)


def record(name: str, command: str, paths: dict[str, str | None], where: str) -> None:
    """Run a command in the root of the repository, and write what it prints to its record."""
    words = [paths.get(NEEDS.get(word, "")) or word for word in shlex.split(command)]
    words[0] = {"python": sys.executable, "mc": str(Path(sys.executable).parent / "mc")}[words[0]]
    click.echo(f"{name}: {command}", err=True)
    environment = os.environ | {"COLUMNS": "120"}
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)  # noqa: S603
    if done.returncode:
        click.echo(f"{name}: exit code {done.returncode}; the old record stays", err=True)
        return
    MEASURED.mkdir(exist_ok=True)
    text = f"`{command}`, {where}:\n\n{markdown(done.stdout)}\n"
    (MEASURED / f"{name}.md").write_text(text, encoding="utf-8")


def markdown(text: str) -> str:
    """What a benchmark prints, in Markdown: lines with tabs as a table, others each by itself."""
    blocks = []
    for (tabs, is_table), block in groupby(filter(str.strip, text.splitlines()), key=_kind):
        lines = list(block)
        if tabs:
            head, *rows = (f"| {' | '.join(line.split(TAB))} |" for line in lines)
            lines = [head, "|---" * tabs + "|---|", *rows]
        blocks.append(("\n" if tabs or is_table else "\n\n").join(lines))
    return "\n\n".join(blocks)


def _kind(line: str) -> tuple[int, bool]:
    """Number of tabs, which a table's lines share, and whether it is Markdown already."""
    return line.count(TAB), line.startswith("|")


def _where() -> str:
    """Day, versions and machine of a record."""
    commit_of = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(commit_of, cwd=ROOT, capture_output=True, text=True).stdout.strip()  # noqa: S603
    versions = f"Python {platform.python_version()}, torch {importlib.metadata.version('torch')}"
    processors = f"{os.cpu_count()} processors ({torch.backends.cpu.get_cpu_capability()})"
    return f"{date.today()}, commit {commit}, {versions}, {processors}"


if __name__ == "__main__":
    main()
