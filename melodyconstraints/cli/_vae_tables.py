"""The tables of ``mc evaluate --data``."""

from __future__ import annotations

from collections.abc import Mapping

from melodyconstraints.cli._common import print_table
from melodyconstraints.workflows.evaluate_vae import Feature, Quality

_SHARES = {
    "events, teacher-forced": "teacher_forced",
    "events, free-running": "free_running",
    "notes, teacher-forced": "onsets_teacher_forced",
    "notes, free-running": "onsets_free_running",
    "notes, F1": "onset_f1",
}
_NOVELTY = {
    "near-copies of a training melody": "near_copies",
    "quote 17 notes of a training melody": "quotations",
    "notes shared with the most similar one": "similarity",
}


def print_quality(quality: Quality) -> None:
    """All that was measured, question by question, on stdout."""
    _print_reconstruction(quality)
    _print_features(quality)
    print_structure(quality.structure, "Are they built like real ones?")
    both = quality.novelty, quality.held_out_novelty
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
    print_table(
        ["mean", *(name.replace("_", " ") for name in built)],
        [
            [
                name.replace("_", " ") if name != "auc" else "AUC of a classifier",
                *(f"{one[name]:.3f}" if name in one else "" for one in built.values()),
            ]
            for name in names
        ],
        f"{question} Best are the values of the held-out melodies, similarity error 0, AUC 1/2",
    )


def _print_reconstruction(quality: Quality) -> None:
    print_table(
        ["right", "posterior mean", "posterior sample"],
        [
            [label, *(f"{getattr(one, name):.1%}" for one in (quality.accuracy, quality.sampled))]
            for label, name in _SHARES.items()
        ],
        f"Does it give melodies back? {quality.n:,} of the split {quality.split}; samples at "
        f"temperature {quality.temperature:g}. Teacher-forced: each event follows the true ones; "
        "free-running: each follows those decoded",
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
            for name, one in quality.collections.items()
        ],
        "By collection, from the posterior mean",
    )
    latent = quality.reconstruction
    print_table(
        ["latent space", ""],
        [
            ["KL from the prior, nats a melody", f"{latent.kl:.1f}"],
            ["active dimensions", f"{latent.active_dimensions:.0f}"],
            ["variance of the posterior means; the prior's is 1", f"{latent.mean_variance:.2f}"],
            ["mean posterior scale", f"{latent.sigma:.2f}"],
        ],
    )


def _print_features(quality: Quality) -> None:
    areas = f"{quality.overlapping_area:.3f}", f"{quality.training_overlapping_area:.3f}"
    print_table(
        ["feature", "held out", "samples", "overlap", "KL", "gap", "ceiling"],
        [
            *(_feature_row(name, feature) for name, feature in quality.features.items()),
            ["mean", "", "", areas[0], "", "", areas[1]],
        ],
        f"Are its own melodies like real ones? {quality.n:,} samples of the prior at temperature "
        f"{quality.temperature:g} against the held-out melodies. Best are overlap 1, KL 0, gap 0; "
        "ceiling: overlap of training melodies",
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
