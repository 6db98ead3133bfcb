"""From a new rule to melodies on disk, without a training: docs/constraints.md.

python benchmarks/search.py [-n 16] [--seed 301]
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

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


@click.command()
@click.option("-n", "count", default=16, show_default=True)
@click.option("--seed", default=301, show_default=True)
def main(count: int, seed: int) -> None:
    """Run ``mc generate`` for each list of rules; whole commands, from the start to the end."""
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
        name = ", ".join(rule.removeprefix(f"{USERS}:") for rule in rules)
        print(
            f"| {name} | {seconds:.1f} | {satisfied} of {count} | {manifest['drawn']} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
