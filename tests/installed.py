"""Install a wheel or an sdist in an environment of its own, and run its first command.

::

    make dist

Packages that it needs are those of the environment that runs this; no network is needed, and what
is in the repository's folder is not seen.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory

import click

PLACE = "import melodyconstraints; print(melodyconstraints.__file__)"


def main() -> None:
    """Install the file that is named, generate a melody, and see that it is this one's."""
    file = Path(sys.argv[1]).resolve()
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "own"], check=True)
        paths = {"base": str(place / "own"), "platbase": str(place / "own")}
        packages = Path(sysconfig.get_path("purelib", "venv", paths))
        programs = Path(sysconfig.get_path("scripts", "venv", paths))
        needed = sysconfig.get_path("purelib")
        (packages / "needed.pth").write_text(f"{needed}\n", encoding="utf-8")

        def run(*command: str | Path) -> str:
            return subprocess.run(
                command, cwd=place, env=clean, check=True, stdout=subprocess.PIPE, text=True
            ).stdout

        install = ["-m", "pip", "install", "-q", "--no-deps", "--no-index", "--ignore-installed"]
        run(programs / "python", *install, "--no-build-isolation", file)
        found = Path(run(programs / "python", "-c", PLACE).strip())
        if packages not in found.parents:
            raise SystemExit(f"{file.name} is not what is imported, but {found}")
        run(programs / "mc", "generate", "--scale", "D-dorian", "-n", "2", "-o", "out")
        if len(list((place / "out").glob("*.mid"))) != 2:
            raise SystemExit(f"mc of {file.name} wrote no melodies")
    click.echo(f"{file.name} installs and generates")


if __name__ == "__main__":
    main()
