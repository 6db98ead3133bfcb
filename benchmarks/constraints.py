"""What the README and docs/constraints.md say of the constraints, measured.

python benchmarks/constraints.py methods        every method against best-of-n
python benchmarks/constraints.py tradeoff STORE reward against distance and realism, and a picture
python benchmarks/constraints.py presets        time to 90% of both rules
python benchmarks/constraints.py curves FOLDER  the paper's recipe to its end, beside the default
python benchmarks/constraints.py users          five rules on which nothing was tuned
python benchmarks/constraints.py knobs          the actor with knobs in all 84 modes
python benchmarks/constraints.py transform STORE   what is kept of real melodies
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch
from constraint_pictures import draw_curves, draw_tradeoff
from moved_melodies import nearly_in_c_major, what_is_left

from melodyconstraints.cli._common import print_table
from melodyconstraints.datasets.melodies.store import read_store
from melodyconstraints.latent.pair import RoundRecord
from melodyconstraints.latent.satisfaction import SATISFIED
from melodyconstraints.latent.settings import PRESETS
from melodyconstraints.melody.events import Events, Melodies
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampler import MelodySampler
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.rules import Rule, find_rules
from melodyconstraints.rules.rewards import rewards_of
from melodyconstraints.rules.scales import SCALES
from melodyconstraints.workflows.actor import MelodyActor
from melodyconstraints.workflows.actor_config import METHODS, SEARCHES
from melodyconstraints.workflows.bank import load_bank
from melodyconstraints.workflows.conditional import (
    ScaleAndDensity,
    condition,
    load_knobs,
)
from melodyconstraints.workflows.evaluate_actor import evaluate_actor
from melodyconstraints.workflows.knobs import Knobs
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.models import load_model
from melodyconstraints.workflows.seeds import EVENTS, derived_seed, prior_points
from melodyconstraints.workflows.train_actor import train_actor
from melodyconstraints.workflows.untrained_actor import searching_actor

BOTH = ["cmajor", "density:192"]
USERS = Path(__file__).with_name("users_rules.py")
DOCS = Path(__file__).parents[1] / "docs"
EVALUATION_SEED = 301
SEARCH_ROUNDS = 60
"""Of the trainings whose rounds each take a search of 100 or 200 steps."""
MODES = ("ionian", "dorian", "phrygian", "lydian", "mixolydian", "aeolian", "locrian")


@click.group()
def main() -> None:
    """Measure satisfaction, cost and times of the constraints, as docs/constraints.md has them."""


@main.command()
@click.option("--rule", "rules", multiple=True, default=BOTH)
@click.option("-n", "count", default=1024)
@click.option("--temperature", default=0.5)
@click.option("--method", "chosen", multiple=True, default=METHODS)
def methods(rules: Sequence[str], count: int, temperature: float, chosen: Sequence[str]) -> None:
    """Satisfaction and decodings by method.

    Best-of-n may decode as many melodies as the most costly method.
    """
    model, found = load_model("bundled"), find_rules(rules)
    rows, most = [], 0
    for method in chosen:
        rounds = SEARCH_ROUNDS if method in SEARCHES else PRESETS["default"].rounds
        settings = replace(PRESETS["default"], rounds=rounds)
        started = time.perf_counter()
        actor = train_actor(
            model, rules, settings=settings, method=method, bank=bank_of(model), seed=1
        )
        seconds = time.perf_counter() - started
        z = prior_points(model, count, EVALUATION_SEED)
        shifted = actor.shift(z)
        melodies = actor.sampler(Sampling(temperature, seed=EVALUATION_SEED)).decode(shifted)
        away = float(((shifted - z) / model.sigma_bar).square().mean())
        decoded = actor.decoded + count
        most = max(most, decoded)
        rows.append([method, *shares(found, melodies), f"{away:.1f}", f"{decoded:,}"])
        rows[-1].append(f"{seconds:.0f} s")
    tries = -(-most // count)
    best = best_of(model, found, count, tries, temperature)
    rows.append([f"best of {tries}", *shares(found, best), "-", f"{tries * count:,}", "-"])
    print_table(
        ["method", "means", "satisfied", "all", "z_MSE", "decodings", "training"],
        rows,
        f"{', '.join(rules)}: {count} melodies at temperature {temperature}",
    )


def bank_of(model: MelodyVAE) -> tuple[torch.Tensor, Melodies]:
    """The model's bank, as the training takes it."""
    bank = load_bank(model)
    return bank.points, bank.melodies


def shares(rules: Sequence[Rule], melodies: Melodies) -> list[str]:
    """Mean rewards, shares satisfied, and the share that satisfies all."""
    rewards = rewards_of(rules, melodies)
    kept = rewards >= SATISFIED
    return [
        " ".join(f"{mean:.4f}" for mean in rewards.mean(axis=0)),
        " ".join(f"{share:.1%}" for share in kept.mean(axis=0)),
        f"{kept.all(axis=1).mean():.1%}",
    ]


def best_of(
    model: MelodyVAE, rules: Sequence[Rule], count: int, tries: int, temperature: float
) -> Melodies:
    """For each of ``count`` the melody of ``tries`` that satisfies most rules, then earns most."""
    sampler = MelodySampler(
        model, Sampling(temperature=temperature, seed=derived_seed(EVENTS, EVALUATION_SEED))
    )
    best_score = np.full(count, -1.0)
    best: Events = np.zeros((count, 256), np.uint8)
    for number in range(tries):
        melodies = sampler.decode(prior_points(model, count, EVALUATION_SEED + number))
        rewards = rewards_of(rules, melodies)
        score = (rewards >= SATISFIED).sum(axis=1) + rewards.mean(axis=1) / 2
        better = score > best_score
        best[better], best_score[better] = melodies.events[better], score[better]
    return Melodies(best)


@main.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.option("--rule", "rules", multiple=True, default=["cmajor"])
@click.option("-n", "count", default=512)
@click.option("--rounds", default=PRESETS["default"].rounds)
@click.option("--picture", type=click.Path(path_type=Path), default=DOCS / "tradeoff.png")
def tradeoff(store: Path, rules: Sequence[str], count: int, rounds: int, picture: Path) -> None:
    """Reward against latent distance and realism.

    Satisfaction, too, over lambda_dist.
    """
    model = load_model("bundled")
    held_out = Melodies(read_store(store, "test").events[::37][:count])
    rows, points = [], []
    for weight in (0.0, 0.02, 0.2, 0.8):
        settings = replace(PRESETS["default"], distance_weight=weight, rounds=rounds)
        actor = train_actor(model, rules, settings=settings, bank=bank_of(model), seed=1)
        measured = evaluate_actor(actor, count, held_out=held_out, seed=EVALUATION_SEED)
        reward = float(np.mean([one.mean for one in measured.actor.values()]))
        prior, realism = measured.realism or (float("nan"), float("nan"))
        satisfied = measured.all_satisfied or 0.0
        points.append((weight, reward, satisfied, measured.moved.z_mse, realism))
        rows.append(
            [
                f"{weight:g}",
                f"{reward:.4f}",
                f"{satisfied:.1%}",
                f"{measured.moved.z_mse:.1f}",
                f"{realism:.3f} (prior {prior:.3f})",
                f"{measured.diversity_ratio:.2f}",
            ]
        )
    print_table(
        ["lambda_dist", "reward", "satisfied", "z_MSE", "overlapping area", "diversity"],
        rows,
        ", ".join(rules),
    )
    draw_tradeoff(points, picture)


@main.command()
@click.option("-n", "count", default=512)
def presets(count: int) -> None:
    """Seconds until 90% satisfy both rules: those of the shortest training."""
    model = load_model("bundled")
    rows: list[list[str]] = []
    for rounds in (5, 10, 20, 40, 80):
        start = time.perf_counter()
        settings = replace(PRESETS["default"], rounds=rounds)
        actor = train_actor(model, BOTH, settings=settings, bank=bank_of(model), seed=1)
        seconds = time.perf_counter() - start
        share = evaluate_actor(actor, count, seed=EVALUATION_SEED).all_satisfied or 0.0
        rows.append([str(rounds), f"{seconds:.0f} s", f"{share:.1%}"])
        click.echo(rows[-1], err=True)
        if share >= 0.9:
            break
    print_table(["rounds", "training", "both satisfied"], rows, "C major and 192 notes")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--preset", type=click.Choice(sorted(PRESETS)), required=True)
@click.option("--minutes", default=120.0, help="Of processor time, after which a training ends.")
@click.option("-n", "count", default=1024)
@click.option("--picture", type=click.Path(path_type=Path), help="Of all curves in FOLDER.")
def curves(folder: Path, preset: str, minutes: float, count: int, picture: Path | None) -> None:
    """Train the bundled model's actor for both rules, and write what each round saw.

    FOLDER/PRESET.jsonl has a line a round. ``paper`` has no schedule, so its rounds may be as many
    as one waits for; Ctrl-C ends them too. The actor is left at FOLDER/PRESET.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = PRESETS[preset]
    if preset == "paper":
        settings = replace(settings, rounds=1_000_000)
    began = time.process_time()
    with (folder / f"{preset}.jsonl").open("w", encoding="utf-8") as file:

        def written(record: RoundRecord) -> None:
            spent = time.process_time() - began
            line = {"round": record.round + 1, "seconds": round(spent, 1)}
            line |= {"rewards": record.rewards[: len(BOTH)], "all": record.all_satisfied}
            print(json.dumps(line), file=file, flush=True)
            if spent > 60 * minutes:
                raise KeyboardInterrupt

        actor = train_actor(
            load_model("bundled"),
            BOTH,
            preset=preset,
            settings=settings,
            seed=1,
            callback=written,
        )
    seconds = time.process_time() - began
    actor.save(folder / preset)
    if picture:
        draw_curves(folder, BOTH, picture)
    measured = evaluate_actor(actor, count, seed=EVALUATION_SEED)
    click.echo(f"{preset}: {len(actor.records)} rounds, {seconds:.0f} s of processor time")
    for name, share in measured.actor.items():
        click.echo(f"{name}: satisfied {share.satisfied:.1%}, mean reward {share.mean:.4f}")
    click.echo(f"both {measured.all_satisfied:.1%}, z_MSE {measured.moved.z_mse:.1f}")
    click.echo(f"diversity over the prior's {measured.diversity_ratio:.2f}")


USERS_RULES = ("moves_by_step", "within_an_octave", "calm", "climbs", "breathes")


@main.command()
@click.argument("names", nargs=-1, type=click.Choice(USERS_RULES))
@click.option("-n", "count", default=1024)
@click.option("--model", "model_name", default="staff", show_default=True)
@click.option("--seed", default=1, show_default=True, help="Of the trainings.")
def users(names: Sequence[str], count: int, model_name: str, seed: int) -> None:
    """Five users' rules at default settings."""
    model = load_model(model_name)
    rows = []
    for name in names or USERS_RULES:
        actor = train_actor(model, [f"{USERS}:{name}"], bank=bank_of(model), seed=seed)
        measured = evaluate_actor(actor, count, seed=EVALUATION_SEED)
        (prior,), (own,) = measured.prior.values(), measured.actor.values()
        rows.append(
            [
                name,
                f"{prior.mean:.3f} ({prior.satisfied:.1%})",
                f"{own.mean:.4f} ({own.satisfied:.1%})",
                f"{measured.prior_typical.satisfied:.1%}, {measured.typical.satisfied:.1%}",
                f"{measured.distinct:.1%}",
                f"{measured.moved.z_mse:.1f}",
            ]
        )
        click.echo(rows[-1], err=True)
    columns = ["rule", "prior", "actor", "typical: prior, actor", "distinct", "z_MSE"]
    print_table(columns, rows)


@main.command()
@click.option("-n", "count", default=12, help="Melodies for each mode, tonic and density.")
@click.option("--temperature", default=0.5)
def knobs(count: int, temperature: float) -> None:
    """Knobs of the bundled model in 84 modes.

    And in as many arbitrary sets of 5 to 9 pitch classes, at four densities.
    """
    actor = load_knobs(model=load_model("bundled"))
    modes = [[(tonic + s) % 12 for s in SCALES[mode]] for mode in MODES for tonic in range(12)]
    rng = np.random.default_rng(0)
    sets = [rng.permutation(12)[: rng.integers(5, 10)].tolist() for _ in modes]
    rows = []
    for title, kinds in (("84 modes", modes), ("84 sets", sets)):
        for density in (48, 80, 112, 160):
            y = torch.stack([condition(one, density) for one in kinds for _ in range(count)])
            z = prior_points(actor.model, len(y), EVALUATION_SEED + density)
            with torch.no_grad():
                shifted = actor.actor(z, y)
            sampler = MelodySampler(
                actor.model, Sampling(temperature=temperature, seed=EVALUATION_SEED)
            )
            melodies = sampler.decode(shifted)
            judge = ScaleAndDensity()
            rewards = judge.compute(judge.measure(melodies), y)
            kept = (rewards >= SATISFIED).float()
            rows.append(
                [
                    title,
                    str(density),
                    f"{rewards[:, 0].mean():.4f} ({kept[:, 0].mean():.1%})",
                    f"{rewards[:, 1].mean():.4f} ({kept[:, 1].mean():.1%})",
                    f"{kept.prod(-1).mean():.1%}",
                    f"{melodies.note_counts.mean():.0f}",
                ]
            )
    print_table(
        ["sets", "density", "in the scale", "dense enough", "both", "notes"],
        rows,
        f"{count} melodies a setting, temperature {temperature}",
        text_columns=2,
    )


@main.command("transform")
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.option("-n", "count", default=100)
@click.option("--actor", "folder", type=click.Path(path_type=Path), help="Of C major, as well.")
def transform_melodies(store: Path, count: int, folder: Path | None) -> None:
    """Notes that stay where real melodies move.

    Held-out melodies of which 75% to 85% of the notes are in C major are moved into it, as mc
    transform does with --scale, with --rule and with --actor.
    """
    model = load_model("staff")
    ways: dict[str, MelodyActor] = {
        "`--scale C-major`": Knobs(model).at("C-major", tonic=False),
        "`--rule cmajor`": searching_actor(model, ["cmajor"]),
    }
    if folder is not None:
        ways["`--actor`"] = load_actor(folder)
    melodies = nearly_in_c_major(read_store(store, "test").events, count)
    columns = ["satisfied", "in-scale notes kept: mean", "median", "lowest tenth"]
    columns += ["notes, after over before", "seconds, median", "longest"]
    rows = [[name, *what_is_left(actor, melodies)] for name, actor in ways.items()]
    title = f"{len(melodies)} held-out melodies, 75% to 85% in C major"
    print_table(["way", *columns], rows, title)


if __name__ == "__main__":
    main()
