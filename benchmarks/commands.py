"""How long short commands take, whole processes as a user starts them.

::

    python benchmarks/commands.py FILE.mid [--busy 2]

Each command runs once before it is timed, so that Python has compiled what it imports, as pip does
when it installs.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import click

COMMANDS = {
    "python -c 'import torch'": [sys.executable, "-c", "import torch"],
    "mc extract-melodies, one file": ["extract-melodies", "{folder}", "-o", "{out}"],
    "mc score": ["score", "--rule", "cmajor", "{file}"],
    "mc reconstruct": ["reconstruct", "{file}", "-o", "{out}"],
    "mc interpolate": ["interpolate", "{file}", "{file}", "-o", "{out}"],
    "mc generate -n 16": ["generate", "-n", "16", "-o", "{out}"],
    "mc generate -n 16 --plot": ["generate", "-n", "16", "-o", "{out}", "--plot"],
    "mc generate --scale D-dorian": ["generate", "--scale", "D-dorian", "-o", "{out}"],
    "mc transform --scale D-dorian": [
        "transform",
        "{file}",
        "--scale",
        "D-dorian",
        "-o",
        "{out}.mid",
    ],
}
"""By what stands for them in the table."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--busy", default=0, show_default=True, help="Processes that keep cores busy.")
@click.option("--runs", default=3, show_default=True, help="Of each command; the median is told.")
def main(file: Path, busy: int, runs: int) -> None:
    """Run each command on a MIDI file, and print a table."""
    load = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    try:
        print("| command | seconds |\n|---|---|")
        for name, command in COMMANDS.items():
            seconds(command, file)
            print(f"| `{name}` | {median(seconds(command, file) for _ in range(runs)):.1f} |")
    finally:
        for process in load:
            process.kill()


def seconds(command: list[str], file: Path) -> float:
    """Of one run, in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "midi")
        folder.mkdir()
        copy = folder / file.name
        copy.write_bytes(file.read_bytes())
        places = {"folder": folder, "file": copy, "out": Path(name, "out")}
        program, *rest = [part.format(**places) for part in command]
        if program != sys.executable:
            rest = [program, *rest]
            program = str(Path(sys.executable).with_name("mc"))
        start = time.perf_counter()
        compiling = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
        subprocess.run([program, *rest], check=True, capture_output=True, env=compiling)  # noqa: S603
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
