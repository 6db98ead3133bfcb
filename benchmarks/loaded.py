"""What a training loses beside other programs, with threads that wait as the package sets them.

::

    python benchmarks/loaded.py [--busy 2] [--runs 5]

A short training of the bundled model for two rules (six rounds, a bank of 256, 100 steps of
warm-up), in processes of their own, in turns: with OpenMP's own waiting, idle, which is the
yardstick; with the package's, idle; with the package's, beside processes that keep cores busy.
"""

import os
import subprocess
import sys
from statistics import median

import click

TRAINING = """
import time
import melodyconstraints as mc
from dataclasses import replace
from melodyconstraints.latent.settings import PRESETS
model = mc.load_model("bundled")
settings = replace(PRESETS["default"], rounds=6, bank=256, warmup_steps=100)
start = time.perf_counter()
mc.train_actor(model, ["cmajor", "density:192"], settings=settings, seed=1)
print(time.perf_counter() - start)
"""
OPENMP = {"GOMP_SPINCOUNT": "300000", "KMP_BLOCKTIME": "200"}
"""How long threads spin if nobody says anything, in GNU's and in LLVM's library."""
OURS: dict[str, str] = {}


@click.command()
@click.option("--busy", default=2, show_default=True, help="Processes that keep cores busy.")
@click.option("--runs", default=5, show_default=True, help="Of each; the median is told.")
def main(busy: int, runs: int) -> None:
    """Run the training in all three ways in turns, and print a table."""
    ways = {
        "OpenMP's own waiting, idle": (OPENMP, 0),
        "as the package sets it, idle": (OURS, 0),
        f"as the package sets it, {busy} busy processes": (OURS, busy),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, (waiting, load) in ways.items():
            taken[name].append(seconds(waiting, load))
            click.echo(f"{name}: {taken[name][-1]:.1f} s", err=True)
    yardstick = median(taken["OpenMP's own waiting, idle"])
    print("| | seconds | times |\n|---|---|---|")
    for name, values in taken.items():
        print(f"| {name} | {median(values):.1f} | {median(values) / yardstick:.2f} |")


def seconds(waiting: dict[str, str], busy: int) -> float:
    """Of one training, loading left out."""
    load = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", TRAINING],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | waiting,
        )
    finally:
        for process in load:
            process.kill()
    return float(done.stdout)


if __name__ == "__main__":
    main()
