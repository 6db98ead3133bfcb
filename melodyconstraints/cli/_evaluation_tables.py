"""The tables of ``mc evaluate``."""

from __future__ import annotations

from collections.abc import Mapping

import click

from melodyconstraints.cli._common import print_table
from melodyconstraints.latent.evaluation import RewardStatistics
from melodyconstraints.workflows.evaluate_actor import ActorEvaluation, ExampleLikeness
from melodyconstraints.workflows.evaluate_vae import Feature, ModelEvaluation

_SHARES = {
    "events, teacher-forced": "teacher_forced",
    "events, free-running": "free_running",
    "notes, teacher-forced": "onsets_teacher_forced",
    "notes, free-running": "onsets_free_running",
    "notes, F1": "onset_f1",
}
_BEST = {"similarity_error": "similarity error 0", "auc": "AUC 1/2"}
"""Best values of measures that compare melodies with the held-out ones, which have none."""
_NOVELTY = {
    "near-copies of a training melody": "near_copies",
    "quote 17 notes of a training melody": "quotations",
    "notes shared with the most similar one": "similarity",
}


def print_model_evaluation(evaluation: ModelEvaluation) -> None:
    """All that was measured of a model, question by question, on stdout."""
    _print_reconstruction(evaluation)
    _print_features(evaluation)
    print_structure(evaluation.structure, "Are they built like real ones?")
    both = evaluation.novelty, evaluation.held_out_novelty
    print_table(
        ["", "samples", "held out"],
        [
            [label, *(f"{getattr(one, name):.1%}" for one in both)]
            for label, name in _NOVELTY.items()
        ],
        "Are they new? Compared in any key; held-out melodies are of other tunes",
    )


def print_structure(built: Mapping[str, Mapping[str, float]], question: str) -> None:
    """A row a measure, a column a set of melodies, the held-out ones first."""
    names = list(dict.fromkeys(name for one in built.values() for name in one))
    best = [
        "the values of the held-out melodies",
        *(_BEST[name] for name in _BEST if name in names),
    ]
    print_table(
        ["mean", *(name.replace("_", " ") for name in built)],
        [
            [
                name.replace("_", " ") if name != "auc" else "AUC of a classifier",
                *(f"{one[name]:.3f}" if name in one else "" for one in built.values()),
            ]
            for name in names
        ],
        f"{question} Best are {', '.join(best)}",
    )


def _print_reconstruction(evaluation: ModelEvaluation) -> None:
    print_table(
        ["right", "posterior mean", "posterior sample"],
        [
            [
                label,
                *(
                    f"{getattr(one, name):.1%}"
                    for one in (evaluation.accuracy, evaluation.sampled)
                ),
            ]
            for label, name in _SHARES.items()
        ],
        f"Does it give melodies back? {evaluation.n:,} of the split {evaluation.split}; samples "
        f"at temperature {evaluation.temperature:g}. Teacher-forced: each event follows the true "
        "ones; free-running: each follows those decoded",
    )
    print_table(
        ["collection", "melodies", "teacher-forced", "free-running", "notes, F1"],
        [
            [
                name,
                f"{one.n:,}",
                f"{one.accuracy.teacher_forced:.1%}",
                f"{one.accuracy.free_running:.1%}",
                f"{one.accuracy.onset_f1:.1%}",
            ]
            for name, one in evaluation.collections.items()
        ],
        "By collection, from the posterior mean",
    )
    latent = evaluation.reconstruction
    print_table(
        ["latent space", ""],
        [
            ["KL from the prior, nats a melody", f"{latent.kl:.1f}"],
            ["active dimensions", f"{latent.active_dimensions:.0f}"],
            ["variance of the posterior means; the prior's is 1", f"{latent.mean_variance:.2f}"],
            ["mean posterior scale", f"{latent.sigma:.2f}"],
        ],
    )


def _print_features(evaluation: ModelEvaluation) -> None:
    areas = f"{evaluation.overlapping_area:.3f}", f"{evaluation.training_overlapping_area:.3f}"
    print_table(
        ["feature", "held out", "samples", "overlap", "KL", "gap", "ceiling"],
        [
            *(_feature_row(name, feature) for name, feature in evaluation.features.items()),
            ["mean", "", "", areas[0], "", "", areas[1]],
        ],
        f"Are its own melodies like real ones? {evaluation.n:,} samples of the prior at "
        f"temperature {evaluation.temperature:g} against the held-out melodies. Best are overlap "
        "1, KL 0, gap 0; ceiling: overlap of training melodies",
    )


def _feature_row(name: str, feature: Feature) -> list[str]:
    return [
        name.removesuffix("_histogram").replace("_", " "),
        *(
            "" if isinstance(mean, list) else f"{mean:.3g}"
            for mean in (feature.held_out, feature.samples)
        ),
        f"{feature.compared.overlapping_area:.3f}",
        f"{feature.compared.kl_divergence:.3f}",
        f"{feature.compared.distance:.3f}",
        f"{feature.ceiling.overlapping_area:.3f}",
    ]


def print_actor_evaluation(evaluation: ActorEvaluation) -> None:
    """All that was measured of an actor, on stdout."""
    rows = []
    for name in evaluation.actor:
        rows.append([name, "prior", *_cells(evaluation.prior[name])])
        rows.append(["", "actor", *_cells(evaluation.actor[name])])
    if evaluation.prior_all_satisfied is not None:
        rows.append(["all its rules", "prior", "", "", f"{evaluation.prior_all_satisfied:.1%}"])
        rows.append(["", "actor", "", "", f"{evaluation.all_satisfied:.1%}"])
    rows.append(["typical melodies", "prior", *_cells(evaluation.prior_typical)])
    rows.append(["", "actor", *_cells(evaluation.typical)])
    title = f"n = {evaluation.n}, temperature {evaluation.temperature:g}"
    rows = [[*row, *[""] * (6 - len(row))] for row in rows]
    columns = ["rule", "from", "mean", "95%", "satisfied", "95%"]
    print_table(columns, rows, title, text_columns=2)
    print_table(
        ["", "actor", "unrelated prior point"],
        [
            _moved_row("z_MSE", evaluation, "z_mse", ".3f"),
            _moved_row(
                "notes of the prior's melodies that stay", evaluation, "surviving_notes", ".1%"
            ),
            ["distinct melodies", f"{evaluation.distinct:.1%}", ""],
            ["pairwise edit distance, actor / prior", _diversity(evaluation), ""],
        ],
        "Notes that stay, of those in the rules' pitch classes",
    )
    if evaluation.examples is not None:
        _print_examples(evaluation.examples)
    if evaluation.likeness:
        _print_likeness(evaluation)


def _moved_row(label: str, evaluation: ActorEvaluation, name: str, form: str) -> list[str]:
    both = evaluation.moved, evaluation.unrelated
    return [label, *(format(getattr(one, name), form) for one in both)]


def _print_likeness(evaluation: ActorEvaluation) -> None:
    rows = [
        [
            name.removesuffix("_histogram").replace("_", " ") + " *" * one.affected,
            *(f"{area:.3f}" for area in (one.prior, one.actor, *(one.satisfying or {}).values())),
        ]
        for name, one in evaluation.likeness.items()
    ]
    if evaluation.realism is not None:
        rows.append(["mean of the others", *(f"{area:.3f}" for area in evaluation.realism)])
    print_table(
        ["overlap with", "all: prior", "all: actor", "satisfying: prior", "satisfying: actor"],
        rows,
        f"Are they like held-out melodies, and like the {evaluation.n_satisfying:,} of these that "
        "satisfy the rules in some key? Overlapping area, best is 1; * affected by a rule",
    )
    if evaluation.structure:
        print_structure(
            evaluation.structure, "Are they built like held-out melodies that satisfy the rules?"
        )
    else:
        click.echo("Fewer than two held-out melodies satisfy the rules: no structure to compare")


def _print_examples(likeness: ExampleLikeness) -> None:
    print_table(
        ["like the examples", "predicted", "overlapping area with the liked"],
        [
            [f"{likeness.liked} liked, held out", f"{likeness.predicted['liked']:.1%}", ""],
            *(
                [
                    label,
                    f"{likeness.predicted[name]:.1%}",
                    f"{likeness.overlapping_area[name]:.3f}",
                ]
                for label, name in (
                    (f"{likeness.unliked} unliked, held out", "unliked"),
                    ("prior", "prior"),
                    ("actor", "actor"),
                )
            ),
        ],
    )


def _cells(statistics: RewardStatistics) -> list[str]:
    (low, high), (fewest, most) = statistics.mean_interval, statistics.satisfied_interval
    return [
        f"{statistics.mean:.4f}",
        f"{low:.4f}-{high:.4f}",
        f"{statistics.satisfied:.1%}",
        f"{fewest:.1%}-{most:.1%}",
    ]


def _diversity(evaluation: ActorEvaluation) -> str:
    ratio = evaluation.diversity_ratio
    return (
        f"{'-' if ratio is None else f'{ratio:.2f}'}  "
        f"({evaluation.diversity:.0f} / {evaluation.prior_diversity:.0f} events)"
    )
