"""The wheel in an environment of its own: contents, first command, seconds, megabytes.

::

    make package
    python benchmarks/package.py dist/*.whl [--extra interop] [--before torch==2.13.0]

The dependencies are downloaded, without this repository's constraints. ``--before`` chooses a
build of torch: from PyPI's, on Linux, pip takes the CUDA packages too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
COMMAND = ["generate", "--scale", "D-dorian", "-o"]
RUNS = 5
LARGE_MB = 20
SIZES = """
import importlib.metadata, json
sizes = {}
for one in importlib.metadata.distributions():
    files = (one.locate_file(file) for file in one.files or ())
    sizes[one.name] = sum(file.stat().st_size for file in files if file.exists())
print(json.dumps(sizes))
"""


def main() -> None:
    """Install, run and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--extra", action="append", default=[], help="to install as well")
    parser.add_argument("--before", default="torch", help="what is installed first")
    asked = parser.parse_args()
    with TemporaryDirectory() as name:
        place = Path(name)
        run(sys.executable, "-m", "venv", place / "venv")
        programs = place / "venv" / ("Scripts" if os.name == "nt" else "bin")
        python = programs / "python"
        run(python, "-m", "pip", "install", "-q", asked.before)
        before = sizes(python)
        wanted = f"melodyconstraints[{','.join(asked.extra)}] @ {asked.wheel.resolve().as_uri()}"
        run(python, "-m", "pip", "install", "-q", wanted)
        print_sizes({k: v for k, v in sizes(python).items() if k not in before})
        print_seconds(programs, place)


def sizes(python: Path) -> dict[str, int]:
    """Bytes of the files of each package, byte code included."""
    sizes: dict[str, int] = json.loads(run(python, "-c", SIZES, stdout=subprocess.PIPE))
    return sizes


def print_sizes(installed: dict[str, int]) -> None:
    """All megabytes, torch and what it needs aside, and the packages that have many."""
    print(f"{sum(installed.values()) / 1e6:.0f} MB in {len(installed)} packages, torch aside")
    for package, size in sorted(installed.items(), key=lambda item: -item[1]):
        if size > LARGE_MB * 1e6:
            print(f"  {size / 1e6:.0f} MB {package}")


def print_seconds(programs: Path, place: Path) -> None:
    """The first command, whose warnings are errors, several times; and ``import torch`` alone."""
    caches = {"XDG_CACHE_HOME": str(place / "cache"), "PYTHONWARNINGS": "error"}
    for command in (["mc", *COMMAND], ["python", "-c", "import torch"]):
        seconds = []
        for number in range(RUNS):
            last = [place / f"out-{number}"] if command[0] == "mc" else []
            start = time.perf_counter()
            run(programs / command[0], *command[1:], *last, env={**os.environ, **caches})
            seconds.append(time.perf_counter() - start)
        print(*command, *(f"{one:.1f} s" for one in seconds))


def run(*command: object, **options: object) -> str:
    """Standard output of a command that must not fail."""
    done = subprocess.run([*map(str, command)], check=True, text=True, **options)  # noqa: S603
    return done.stdout or ""


if __name__ == "__main__":
    main()
