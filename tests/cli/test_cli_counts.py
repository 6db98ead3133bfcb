"""Counts and seeds that no machine can hold are refused before any work."""

import pytest

import melodyconstraints as api
from melodyconstraints.errors import UsageError
from melodyconstraints.images.actor import prior_points
from melodyconstraints.storage.arguments import MOST_SEED
from melodyconstraints.workflows.seeds import MOST_AT_ONCE

TOO_MANY = (
    "1,000,000,000,000 melodies were asked for, and at most 100,000 are made at once; ask several "
    "times, each with a seed of its own"
)


@pytest.fixture
def tune(tmp_path):
    place = tmp_path / "tune.mid"
    api.write_melody(api.Melody.from_notes([(0, 4, 60), (4, 4, 64), (8, 8, 67)]), place)
    return place


@pytest.mark.parametrize(
    "command",
    [
        "generate -n {n} -o out",
        "generate -n {n} -o out --rule cmajor --only-satisfying",
        "compare --actor a -n {n} -o out",
        "reroll {tune} -n {n} -o out",
        "reconstruct {tune} --variations {n} -o out",
        "interpolate {tune} {tune} -n {n} -o out",
        "evaluate -n {n}",
    ],
)
def test_more_melodies_than_fit_are_refused_in_one_line(mc, tune, tmp_path, command):
    result = mc(*command.format(n=10**12, tune=tune).split())
    assert (result.exit_code, result.stderr) == (2, f"Error: {TOO_MANY}\n")
    assert not (tmp_path / "out").exists()


def test_more_images_than_fit_are_refused_all_classes_together(mc):
    result = mc("images", "generate", "-n", 10_000, "-o", "out.png")
    assert result.exit_code == 2
    assert "100,000 images were asked for, and at most 10,000 are made at once" in result.stderr


@pytest.mark.parametrize("command", ["generate -n 1 -o out", "images generate -o out.png"])
def test_a_seed_of_too_many_bits_is_wrong_usage(mc, command):
    result = mc(*command.split(), "--seed", MOST_SEED + 1)
    assert result.exit_code == 2
    assert f"seed must be from 0 to {MOST_SEED}, got {MOST_SEED + 1}" in result.stderr


@pytest.mark.parametrize("n", [MOST_AT_ONCE + 1, 10**12])
def test_python_refuses_as_many(tiny_model, n):
    tune = api.Melody.from_notes([(0, 4, 60)])
    for draw in (
        lambda: api.generate(tiny_model, n),
        lambda: api.generate(tiny_model, n, ["cmajor"]),
        lambda: api.reroll(tiny_model, tune, n),
        lambda: api.vary(tiny_model, tune, n),
        lambda: api.interpolate(tiny_model, tune, tune, n),
        lambda: api.load_bank(tiny_model, size=n),
    ):
        with pytest.raises(UsageError, match=f"{n:,} melodies were asked for, and at most"):
            draw()


@pytest.mark.parametrize("seed", [-1, MOST_SEED + 1])
def test_a_seed_that_starts_no_generator_is_refused(tiny_model, seed):
    tune = api.Melody.from_notes([(0, 4, 60)])
    for draw in (
        lambda: api.generate(tiny_model, 1, seed=seed),
        lambda: api.generate(tiny_model, 1, ["cmajor"], seed=seed),
        lambda: api.vary(tiny_model, tune, 1, seed=seed),
        lambda: api.train_actor(tiny_model, ["cmajor"], seed=seed),
        lambda: api.Performance("shaped", seed=seed),
        lambda: prior_points(None, 1, seed),
    ):
        with pytest.raises(UsageError, match=f"seed must be from 0 to {MOST_SEED}, got {seed}"):
            draw()


def test_just_as_many_as_fit_pass_the_check(tiny_model, monkeypatch):
    monkeypatch.setattr("melodyconstraints.workflows.seeds.MOST_AT_ONCE", 5)
    assert len(api.generate(tiny_model, 5, ["cmajor"])) == 5
    with pytest.raises(UsageError, match="6 melodies were asked for, and at most 5"):
        api.generate(tiny_model, 6)
