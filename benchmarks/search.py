"""Rules without a training: the time to melodies on disk, and what a rule costs in realism.

::

    python benchmarks/search.py time
    python benchmarks/search.py realism STORE
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from melodyconstraints.rules import find_rules
from melodyconstraints.workflows.evaluate_actor import evaluate_actor
from melodyconstraints.workflows.models import load_model
from melodyconstraints.workflows.real_melodies import read_split
from melodyconstraints.workflows.untrained_actor import searching_actor

USERS = Path(__file__).with_name("users_rules.py")
RULES = [
    *([f"{USERS}:{name}"] for name in ("moves_by_step", "within_an_octave", "calm")),
    *([f"{USERS}:{name}"] for name in ("breathes", "climbs")),
    ["cmajor"],
    ["cmajor", "density:192"],
    ["scale:D-dorian", "cadence:D-dorian", "density:40..60"],
    ["cmajor", "final-note:C", "contour:arch"],
    ["final-note:C", "contour:arch"],
    ["max-leap:7", "leaps-resolved:5"],
    ["rhythm-alike:2,75%", "syncopation:25%"],
    ["chords:C,Am,F,G,60%"],
    ["chords:C,Am,F,G,60%", "contour:arch"],
    ["tessitura:C5..C6", "compass:C4..C6", "max-length:1/4"],
]


@click.group()
def main() -> None:
    """Search for melodies under the rules of docs/constraints.md."""


@main.command("time")
@click.option("-n", "count", default=16, show_default=True)
@click.option("--seed", default=301, show_default=True)
def time_commands(count: int, seed: int) -> None:
    """Seconds of mc generate for lists of rules.

    Of whole commands, from the start to the end.
    """
    print("| rules | seconds | satisfied | melodies drawn |\n|---|---|---|---|")
    for rules in RULES:
        with tempfile.TemporaryDirectory() as folder:
            asked = [part for rule in rules for part in ("--rule", rule)]
            command = [str(Path(sys.executable).with_name("mc")), "generate", *asked]
            command += ["-n", str(count), "--seed", str(seed), "-o", f"{folder}/out"]
            start = time.perf_counter()
            subprocess.run([*command, "--allow-none"], check=True, capture_output=True)  # noqa: S603
            seconds = time.perf_counter() - start
            manifest = json.loads(Path(folder, "out", "manifest.json").read_text())
        satisfied = sum(melody["satisfied"] for melody in manifest["melodies"])
        row = f"| {seconds:.1f} | {satisfied} of {count} | {manifest['drawn']:,} |"
        print(f"| {_title(rules)} {row}", flush=True)


@main.command("realism")
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.option("-n", "count", default=128, show_default=True)
@click.option("--seed", default=301, show_default=True)
def measure_realism(store: Path, count: int, seed: int) -> None:
    """Satisfaction and overlap with STORE by rules.

    Those of ``mc evaluate --rule ... --data STORE``, a line for each list of rules.
    """
    held_out, model = read_split(store, "test").melodies, load_model()
    columns = [
        "rules",
        "under no rule",
        "satisfied",
        "overlapping area, unaffected",
        "and under no",
    ]
    columns += ["similarity error", "repeated bars", "real ones", "diversity"]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for rules in RULES:
        found = evaluate_actor(searching_actor(model, rules), count, held_out=held_out, seed=seed)
        prior, actor = found.realism or (None, None)
        built, real = found.structure.get("actor", {}), found.structure.get("held_out", {})
        cells = [_title(rules), f"{found.prior_all_satisfied:.1%}", f"{found.all_satisfied:.1%}"]
        figures = [actor, prior, built.get("similarity_error")]
        figures += [one.get("repeated_bars") for one in (built, real)]
        cells += ["-" if one is None else f"{one:.3f}" for one in figures]
        cells += [f"{found.diversity_ratio:.2f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


def _title(rules: list[str]) -> str:
    """Rules of the library by their names, a user's by what it says of itself."""
    return ", ".join(
        rule.description.rstrip(".") if rule.spec.startswith(str(USERS)) else rule.name
        for rule in find_rules(rules)
    )


if __name__ == "__main__":
    main()
