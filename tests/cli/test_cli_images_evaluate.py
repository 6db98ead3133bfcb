"""``mc images evaluate``: tables of models, actors and a judge whose numbers are known."""

import json
import math

import pytest
import torch

from melodyconstraints.cli.images import evaluate as module
from melodyconstraints.images.actor import prior_points
from melodyconstraints.images.checkpoint import load_model
from melodyconstraints.images.distances import pixel_distance

JUDGED = ("--classifier", "judge", "-n", 8)


@pytest.fixture
def evaluate(mc, bars):
    """Measures on the bars."""
    return lambda *options: mc("images", "evaluate", "data", *options)


def numbers(line: list[str]) -> list[float]:
    return [float(cell.replace(",", "")) for cell in line]


def test_table_4_of_a_model_and_an_autoencoder(evaluate, table):
    told = ("--model", "model", "--model", "autoencoder")
    measured = json.loads(evaluate(*told, "--json").stdout)
    assert (set(measured), measured["test_images"]) == ({"test_images", "table_4"}, 8)
    model, autoencoder = (measured["table_4"][name] for name in ("model", "autoencoder"))
    scale = math.log1p(math.exp(-2)) + 1e-4
    kl = (1 + 4 * scale**2 - 4) / 2 - 4 * math.log(scale)
    assert model["kl"] == pytest.approx(kl, rel=1e-5)
    likelihood = -64 * model["mse"] / 0.02 - 32 * math.log(2 * math.pi * 0.01)
    assert model["ll"] == pytest.approx(likelihood, rel=1e-5)
    assert model["elbo"] == pytest.approx(model["ll"] - model["kl"])
    assert autoencoder["mse"] == pytest.approx((1 / (1 + math.e**8)) ** 2, rel=0.01)
    assert set(autoencoder) == {"sigma_x", "mse"}

    result = evaluate(*told)
    assert result.exit_code == 0
    assert "Table 4: test images" in result.stdout
    head, first, second = table(result.stdout)
    assert head[:2] == ["model", "sigma_x"]
    shown = [f"{model[name]:,.0f}" for name in ("ll", "kl", "elbo")]
    assert first == ["model", "0.1", *shown, f"{model['mse']:.5f}"]
    assert second == ["autoencoder", "0", "-", "-", "-", "0.00000"]


def test_table_1_of_an_actor_that_does_what_it_is_told(evaluate, table, tmp_path):
    result = evaluate("--actor", "actor", *JUDGED, "--seed", 7)
    assert result.exit_code == 0
    assert result.stderr.endswith("measuring actor\n")
    head, test, prior, actor, *identity = table(result.stdout)
    assert head == ["", "accuracy", "precision", "recall", "F1", "z_MSE", "Fréchet", "diversity"]
    assert test == ["test images", *["1.000"] * 4, "-", "0.0", "-"]
    assert prior[:6] == ["prior samples", *["-"] * 5]
    assert float(prior[6]) > 1
    z = prior_points(load_model(tmp_path / "model"), 8, seed=7)
    moved = ((torch.eye(4).repeat(2, 1) - z) / 0.5).square().mean()
    same = "0.000 ± 0.000"
    assert actor == ["actor", *["1.000"] * 4, f"{moved:.1f}", "0.0", same]
    assert identity[0] == ["one label changed", "changed", "others kept", "pixels", "z_MSE"]


def test_identity_is_what_a_changed_class_leaves(evaluate, table, bars):
    names = ("actor", "langevin", "realism", "search")
    asked = [word for name in names for word in ("--actor", name)]
    result = evaluate(*asked, *JUDGED)
    assert "Table 1: a separate classifier's labels" in result.stdout
    assert "Identity: distance to the image's reconstruction" in result.stdout
    _, _, _, actor, langevin, realism, search, *others = table(result.stdout)
    diversity, diverse, _, network, found = others
    assert diversity == ["same labels", "times as diverse as langevin", "95%"]
    assert (diverse[0], float(diverse[1]) > 0) == ("search", True)
    assert [row[0] for row in (actor, langevin, realism, search)] == list(names)
    assert realism[1:5] + realism[7:] == ["-"] * 5
    assert min(numbers(search[1:5])) == 1.0
    bar = torch.stack([bars[0], bars[1]]).mul(16).sub(8).sigmoid()
    apart = float(pixel_distance(bar[:1], bar[1:]))
    # by two of four dimensions, each by two posterior scales
    assert network == ["actor", "1.000", "1.000", f"{apart:.4f}", "2.00"]
    assert found[:3] == ["search", "1.000", "1.000"]
    pixels, latent = numbers(found[3:])
    assert 0 < pixels < apart
    assert 0 < latent < 2


def test_json_and_the_file_hold_the_same(evaluate, tmp_path):
    told = ("--model", "model", "--actor", "actor", "--actor", "realism", *JUDGED, "--seed", 3)
    report = json.loads(evaluate(*told, "--json", "-o", "new/report.json").stdout)
    assert json.loads((tmp_path / "new" / "report.json").read_text()) == report
    assert set(report) == {"test_images", "table_1", "table_4", "identity", "n", "seed"}
    assert (report["n"], report["seed"]) == (8, 3)
    rows = {row["name"]: row for row in report["table_1"]}
    assert list(rows) == ["test images", "prior samples", "actor", "realism"]
    assert rows["actor"]["scores"]["by_label"]["2"] == [1.0, 1.0]
    assert (rows["realism"]["scores"], rows["realism"]["diversity"]) == (None, None)
    assert [one["name"] for one in report["identity"]] == ["actor"]


def test_a_bar_counts_the_stages_of_a_measurement(evaluate, bars_ended, monkeypatch):
    told = []
    show = module.show_stages

    def told_of(bar):
        shown = show(bar)
        return lambda *counts: (told.append(counts), shown(*counts))

    monkeypatch.setattr(module, "show_stages", told_of)
    result = evaluate("--model", "model", "--actor", "actor", "--actor", "langevin", *JUDGED)
    assert result.exit_code == 0
    names = [
        *("test images", "prior samples", "images of actor", "transformations by actor"),
        *("images of langevin", "ELBO of model"),
    ]
    assert told == [(name, done, 6) for done, name in enumerate(names)]
    assert bars_ended == [(5, 6, "ELBO of model")]
    assert "ELBO" not in result.stderr


def test_without_labels_there_is_no_identity(evaluate, table):
    result = evaluate("--actor", "realism", *JUDGED)
    assert [row[0] for row in table(result.stdout)[1:]] == [
        "test images",
        "prior samples",
        "realism",
    ]
    report = json.loads(evaluate("--actor", "realism", *JUDGED, "--json").stdout)
    assert report["identity"] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give at least one --model or --actor"),
        (["--actor", "actor"], "--actor needs a --classifier to measure the images"),
        (
            ["--actor", "actor", "--classifier", "letters-judge"],
            "the classifier knows a, b, c, d, the actor 0, 1, 2, 3; train one on the actor's data",
        ),
        (
            ["--actor", "realism", "--classifier", "letters-judge"],
            "the classifier knows a, b, c, d, the data has 0, 1, 2, 3; give the",
        ),
        (
            ["--actor", "actor", "--classifier", "other-judge"],
            "the classifier is for images of 1x6x6 (channels, rows, columns), the",
        ),
        (["--model", "model", "--model", "other"], "the model makes images of 6x6 pixels in grey"),
        (
            ["--actor", "actor", "--actor", "other-actor", "--classifier", "judge"],
            "the model makes images of 6x6 pix",
        ),
        (["--model", "model", "-n", 1], "1 is not in the range x>=2"),
    ],
    ids=str,
)
def test_wrong_usage_is_told(evaluate, options, message):
    result = evaluate(*options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_data_of_other_labels_are_told(mc, bars):
    start = ("images", "evaluate", "letters")
    result = mc(*start, "--actor", "actor", "--classifier", "judge")
    assert result.exit_code == 2
    assert "the actor actor knows 0, 1, 2, 3, the data has a, b, c, d; give the" in result.stderr


def test_attributes_have_to_be_in_the_actors_order(mc, bars, tmp_path):
    lines = ["file,1,0,3,2", *(f"{n}.png,0,1,0,1" for n in range(10))]
    (tmp_path / "mixed").mkdir()
    for number in range(10):
        (tmp_path / "mixed" / f"{number}.png").symlink_to(tmp_path / "data" / f"{number}.png")
    (tmp_path / "mixed" / "labels.csv").write_text("\n".join(lines))
    start = ("images", "evaluate", "mixed", "--actor", "actor", *JUDGED)
    result = mc(*start)
    assert result.exit_code == 2
    assert "knows 0, 1, 2, 3, the data has 1, 0, 3, 2; give" in result.stderr
    assert mc(*start, "--attributes", "0,1,2,3").exit_code == 0
