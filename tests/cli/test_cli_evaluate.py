"""``mc evaluate``."""

import json

import pytest

from melodyconstraints.actors import load_actor, train_actor
from melodyconstraints.evaluation import evaluate_actor
from melodyconstraints.melody.checkpoint import load_model, save_model


@pytest.fixture
def evaluate(mc, tiny_actor_folder):
    """Evaluates the tiny actor."""
    return lambda *options: mc("evaluate", "--actor", tiny_actor_folder, *options)


def test_json_is_the_evaluation_in_python(evaluate, tiny_actor_folder):
    result = evaluate("-n", 20, "--seed", 3, "--temperature", 0.8, "--json")
    assert result.exit_code == 0
    expected = evaluate_actor(load_actor(tiny_actor_folder), 20, seed=3, temperature=0.8)
    assert json.loads(result.stdout) == json.loads(json.dumps(expected.as_dict()))


def test_the_table_shows_prior_and_actor_rule_by_rule(evaluate, table, tiny_actor_folder):
    result = evaluate("-n", 20, "--seed", 3)
    assert result.exit_code == 0
    found = evaluate_actor(load_actor(tiny_actor_folder), 20, seed=3)
    assert "n = 20, temperature 0.5" in result.stdout

    def cells(statistics) -> list[str]:
        mean, satisfied = statistics.mean_interval, statistics.satisfied_interval
        return [
            f"{statistics.mean:.4f}",
            f"{mean[0]:.4f}-{mean[1]:.4f}",
            f"{statistics.satisfied:.1%}",
            f"{satisfied[0]:.1%}-{satisfied[1]:.1%}",
        ]

    assert table(result.stdout) == [
        ["rule", "from", "mean", "95%", "satisfied", "95%"],
        ["cmajor", "prior", *cells(found.prior["cmajor"])],
        ["", "actor", *cells(found.actor["cmajor"])],
        ["density:252", "prior", *cells(found.prior["density:252"])],
        ["", "actor", *cells(found.actor["density:252"])],
        ["all its rules", "prior", "", "", "0.0%", ""],
        ["", "actor", "", "", "0.0%", ""],
        ["", "actor"],
        ["z_MSE", f"{found.z_mse:.3f}"],
        ["distinct melodies", "100.0%"],
        [
            "pairwise edit distance, actor / prior",
            f"{found.diversity_ratio:.2f}  "
            f"({found.diversity:.0f} / {found.prior_diversity:.0f} events)",
        ],
    ]


def test_melodies_that_are_all_alike_have_no_ratio(mc, table, tiny_model, tiny_recipe, tmp_path):
    tiny_model.decoder.output.weight.data.zero_()
    save_model(tiny_model, tmp_path / "model")
    actor = train_actor(load_model(tmp_path / "model"), ["cmajor"], settings=tiny_recipe)
    actor.save(tmp_path / "actor")
    result = mc("evaluate", "--actor", "actor", "-n", 4, "--temperature", 0)
    assert result.exit_code == 0
    assert table(result.stdout)[-1][1] == "-  (0 / 0 events)"


def test_another_model_is_refused(evaluate, tiny_model_folder, tmp_path):
    model = load_model(tiny_model_folder)
    model.sigma_bar.mul_(2)
    save_model(model, tmp_path / "other")
    result = evaluate("--model", "other")
    assert result.exit_code == 1
    assert "was trained on the model" in result.stderr
    assert "train it again with: mc train-actor" in result.stderr


def test_its_model_may_be_given(evaluate, tiny_model_folder):
    assert evaluate("--model", tiny_model_folder, "-n", 2).exit_code == 0


def test_a_model_folder_is_no_actor(mc, tiny_model_folder):
    result = mc("evaluate", "--actor", tiny_model_folder)
    assert result.exit_code == 1
    assert "is of kind melody-vae, format melodyconstraints-1; kind actor" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing option '--actor'"),
        (["--actor", "x", "-n", "1"], "1 is not in the range x>=2"),
    ],
)
def test_wrong_usage_is_told(mc, arguments, message):
    result = mc("evaluate", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
