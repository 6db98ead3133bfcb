"""Install a wheel or an sdist in an environment of its own, and run its first command.

::

    make dist

The environment sees what the file says that it needs, and what that needs in its turn, by links to
the environment that runs this; no network is needed. It sees nothing else that is installed, nor
the repository's folder. A warning of the command is an error.
"""

import os
import subprocess
import sys
import sysconfig
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from packaging.requirements import Requirement

PLACE = "import melodyconstraints; print(melodyconstraints.__file__)"


def needed_by(project: Distribution, extras: frozenset[str] = frozenset()) -> set[str]:
    """Names of the distributions that a project needs, and that those need."""
    found, waiting = set(), [(project, extras)]
    while waiting:
        one, wanted = waiting.pop()
        for need in map(Requirement, one.requires or ()):
            asked = need.name, frozenset(need.extras)
            used = need.marker is None or any(
                need.marker.evaluate({"extra": extra}) for extra in {"", *wanted}
            )
            if used and asked not in found:
                found.add(asked)
                waiting.append((distribution(need.name), asked[1]))
    return {name for name, _ in found}


def link(name: str, packages: Path) -> None:
    """Link the files and folders of an installed distribution into a folder of packages."""
    one = distribution(name)
    for first in {file.parts[0] for file in one.files or ()} - {"..", "__pycache__"}:
        if not (packages / first).exists():
            (packages / first).symlink_to(Path(one.locate_file(first)))


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

        def run(*command: str | Path, **more: str) -> str:
            return subprocess.run(
                command, cwd=place, env=clean | more, check=True, stdout=subprocess.PIPE, text=True
            ).stdout

        pip = [sys.executable, "-m", "pip"]
        build = ["wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation", "-w", place]
        run(*pip, *build, file)  # a wheel is copied
        (wheel,) = place.glob("*.whl")
        (project,) = distributions(path=[str(wheel)])
        for name in needed_by(project):
            link(name, packages)
        run(*pip, "--python", programs / "python", "install", "-q", "--no-index", wheel)
        found = Path(run(programs / "python", "-c", PLACE).strip())
        if packages not in found.parents:
            raise SystemExit(f"{file.name} is not what is imported, but {found}")
        command = ["generate", "--scale", "D-dorian", "-n", "2", "-o", "out"]
        run(programs / "mc", *command, PYTHONWARNINGS="error")
        if len(list((place / "out").glob("*.mid"))) != 2:
            raise SystemExit(f"mc of {file.name} wrote no melodies")
    click.echo(f"{file.name} installs and generates")


if __name__ == "__main__":
    main()
