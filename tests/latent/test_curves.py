"""Pictures of trainings: the lines that they show are the numbers that they were given."""

import math

import pytest
from matplotlib.figure import Figure

from melodyconstraints.latent.curves import plot_actor_critic, plot_learning_curves
from melodyconstraints.latent.pair import RoundRecord
from melodyconstraints.workflows.train_vae import PANELS

PNG = b"\x89PNG\r\n\x1a\n"

RECORDS = [
    RoundRecord(0, 0.9, math.nan, math.nan, [0.5, 0.1], [0.2, 0.0], 0.0),
    RoundRecord(1, 0.8, 1.5, 0.01, [0.6, 0.2], [0.3, 0.1], 0.05),
    RoundRecord(2, 0.7, 1.25, 0.02, [0.7, 0.3], [0.4, 0.2], 0.1),
]


def test_a_training_without_rounds_has_no_picture(tmp_path):
    plot_actor_critic([], ["cmajor"], tmp_path / "curves.png")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def figures(monkeypatch) -> list[Figure]:
    """Every figure that is saved."""
    saved, save = [], Figure.savefig

    def savefig(figure, *args, **options):
        saved.append(figure)
        save(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return saved


def lines_of(figure: Figure) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Points of each line by the axes' title and the line's label."""
    return {
        axes.get_title(loc="left"): {
            line.get_label(): [tuple(point) for point in line.get_xydata().tolist()]
            for line in axes.get_lines()
        }
        for axes in figure.axes
    }


def test_actor_critic_curves_show_every_round_and_skip_what_was_not_measured(figures, tmp_path):
    plot_actor_critic(RECORDS, ["cmajor", "density:9"], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)
    assert lines_of(figures[0]) == {
        "losses": {
            "critic D, cross-entropy": [(1, 0.9), (2, 0.8), (3, 0.7)],
            "actor G, -log D(G(z))": [(2, 1.5), (3, 1.25)],
        },
        "mean reward of decoded G(z)": {
            "cmajor": [(1, 0.5), (2, 0.6), (3, 0.7)],
            "density:9": [(1, 0.1), (2, 0.2), (3, 0.3)],
        },
        "distance penalty": {"L_dist(G(z), z)": [(2, 0.01), (3, 0.02)]},
        "share satisfied": {
            "cmajor": [(1, 0.2), (2, 0.3), (3, 0.4)],
            "density:9": [(1, 0.0), (2, 0.1), (3, 0.2)],
            "all": [(1, 0.0), (2, 0.05), (3, 0.1)],
        },
    }


def test_what_was_never_measured_has_no_panel(figures, tmp_path):
    records = [RoundRecord(n, 0.9, math.nan, math.nan, [], [], math.nan) for n in range(2)]
    plot_actor_critic(records, [], tmp_path / "curves.png")
    lines = {"critic D, cross-entropy": [(1, 0.9), (2, 0.9)]}
    assert lines_of(figures[0]) == {"losses": lines}


def test_a_single_rule_has_no_line_for_all(figures, tmp_path):
    records = [RoundRecord(0, 0.9, 1.0, 0.1, [0.5], [0.2], 0.2)]
    plot_actor_critic(records, ["cmajor"], tmp_path / "curves.png")
    assert lines_of(figures[0])["share satisfied"] == {"cmajor": [(1, 0.2)]}


def test_learning_curves_show_accuracy_and_both_terms_of_the_elbo(figures, tmp_path):
    curves = [
        {
            "step": 10 * n,
            "teacher_forced": 0.1 * n,
            "free_running": 0.2 * n,
            "onset_f1": 0.3 * n,
            "reconstruction": 900.0 / n,
            "kl": 5.0 * n,
        }
        for n in (1, 2)
    ]
    plot_learning_curves(curves, tmp_path / "curves.png", PANELS)
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)
    assert lines_of(figures[0]) == {
        "held-out melodies": {
            "teacher forced": [(10, 0.1), (20, 0.2)],
            "free running": [(10, 0.2), (20, 0.4)],
            "onset f1": [(10, 0.3), (20, 0.6)],
        },
        "nats a melody": {
            "reconstruction": [(10, 900.0), (20, 450.0)],
            "kl": [(10, 5.0), (20, 10.0)],
        },
    }
    assert figures[0].axes[0].get_ylim() == (0, 1)


def test_a_name_of_any_bytes_stands_in_the_legend(tmp_path):
    point = {"step": 1.0, "a\udcff": 0.5}
    plot_learning_curves([point], tmp_path / "out.png", {"all": ["a\udcff"]})
    assert (tmp_path / "out.png").is_file()
