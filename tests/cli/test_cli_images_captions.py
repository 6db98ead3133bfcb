"""``mc images train-captions``, and ``generate --caption``."""

import csv
import json
from dataclasses import replace

import pytest
import torch

from melodyconstraints.images import captions
from melodyconstraints.images.actor import ImageActor
from melodyconstraints.images.captions import (
    CaptionConfig,
    CaptionModel,
    generate_from_caption,
    load_captioner,
    save_captioner,
)
from melodyconstraints.images.checkpoint import load_model
from melodyconstraints.workflows.images import train_captions

DIGITS = [f"the digit {word}" for word in ("zero", "one", "two", "three")]


@pytest.fixture
def train(mc, bars, monkeypatch):
    """Trains a captioner on the autoencoder's points of the bars, in ``captioner``."""
    small = replace(captions.TRAINING, learning_rate=0.01, warmup_steps=0, ema_decay=0.0)
    monkeypatch.setattr(captions, "TRAINING", small)
    start = ("images", "train-captions", "data", "-o", "captioner")
    return lambda *options: mc(*start, "--model", "autoencoder", *options)


@pytest.fixture
def captioner(bars, tmp_path):
    """A captioner of random weights in ``captioner``."""
    model = load_model(tmp_path / "model")
    config = CaptionConfig.of(DIGITS, 4, hidden=(8,), units=8, embedding=4)
    save_captioner(CaptionModel(config), model, tmp_path / "captioner")


@pytest.fixture
def generate(mc, captioner):
    """Draws with the captioner."""
    return lambda *options: mc("images", "generate", "-o", "out", *options)


def write_captions(path, text) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerows([["file", "caption"], *((f"{n}.png", text(n)) for n in range(16))])


# train-captions


def test_captions_made_from_labels_are_learned_and_drawn(train, mc, table, tmp_path):
    result = train("--steps", 60)
    assert result.exit_code == 0
    head, *rows = table(result.stdout)
    assert head == ["caption of a test image", "read in its point"]
    assert rows == [[digit, digit] for digit in [*DIGITS, DIGITS[0]]]
    *_, share, hint = result.stderr.splitlines()
    assert share == "100.0% of the first 8 are read to the word"
    told = 'mc images generate --captioner captioner --caption "the digit zero"'
    assert hint == f"captioner in captioner; see it with: {told}"
    _, found = load_captioner(tmp_path / "captioner")
    assert found.config.words == ("digit", "one", "the", "three", "two", "zero")


def test_captions_of_a_table_go_before_labels(train, table, tmp_path):
    write_captions(tmp_path / "mine.csv", lambda number: f"Ann's bar, {'abcd'[number % 4]}")
    result = train("--steps", 1, "--captions", "mine.csv")
    assert result.exit_code == 0
    assert [row[0] for row in table(result.stdout)[1:3]] == ["Ann's bar, a", "Ann's bar, b"]
    assert result.stderr.endswith('--caption "ann\'s bar, a"\n')
    _, found = load_captioner(tmp_path / "captioner")
    assert found.config.words == (",", "a", "ann's", "b", "bar", "c", "d")


def test_captions_of_the_data_go_before_labels(mc, bars, train, table, tmp_path):
    (tmp_path / "own").mkdir()
    lines = ["file,label,split,caption"]
    for number in range(16):
        (tmp_path / "own" / f"{number}.png").symlink_to(tmp_path / "data" / f"{number}.png")
        lines.append(f"{number}.png,{number % 4},{'train' if number < 8 else 'test'},bar")
    (tmp_path / "own" / "labels.csv").write_text("\n".join(lines))
    start = ("images", "train-captions", "own", "-o", "captioner")
    result = mc(*start, "--model", "autoencoder", "--steps", 1)
    assert result.exit_code == 0
    assert [row[0] for row in table(result.stdout)[1:]] == ["bar"] * 5
    printed = json.loads(
        mc(*start, "--model", "autoencoder", "--steps", 1, "--overwrite", "--json").stdout
    )
    assert [pair[0] for pair in printed["pairs"]] == ["bar"] * 8


def test_the_hint_names_a_caption_that_the_captioner_can_read(train, tmp_path):
    write_captions(tmp_path / "mine.csv", lambda n: "a new word" if n >= 8 else "a known one")
    assert train("--steps", 1, "--captions", "mine.csv").stderr.endswith('"a known one"\n')


def test_more_test_images_than_are_read_back(train, table, monkeypatch):
    monkeypatch.setattr(train_captions, "DESCRIBED", 3)
    result = train("--steps", 1)
    assert result.exit_code == 0
    assert len(table(result.stdout)) == 4
    assert "of the first 3 are read to the word" in result.stderr


def test_a_captioner_is_replaced_only_on_demand(train):
    assert train("--steps", 1).exit_code == 0
    refused = train("--steps", 1)
    assert refused.exit_code == 2
    assert "captioner already holds the image-captioner of an earlier run; pass" in refused.stderr
    assert train("--steps", 1, "--overwrite").exit_code == 0


def test_a_model_of_other_images_is_told(mc, bars, tmp_path):
    result = mc("images", "train-captions", "digits", "-o", "captioner", "--model", "other")
    assert result.exit_code == 2
    assert "the model makes images of 6x6 pixels in grey, the data has 8x8" in result.stderr
    assert not (tmp_path / "captioner").exists()


def test_a_table_that_does_not_cover_the_images_is_told(train, tmp_path):
    (tmp_path / "mine.csv").write_text("file,caption\n0.png,a bar\n")
    result = train("--captions", "mine.csv")
    assert result.exit_code == 1
    assert "Error: no caption for 7 of 8 images, the first 1.png; add a line" in result.stderr
    result = train("--captions", "none.csv")
    assert result.exit_code == 2
    assert "File 'none.csv' does not exist" in result.stderr


# generate --caption


def test_a_manifest_names_the_caption(generate, tmp_path):
    told = ("--captioner", "captioner", "--caption", "the digit one", "-n", 2, "--seed", 5)
    result = generate(*told)
    assert (result.exit_code, result.stderr) == (0, "2 images in out\n")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    model = load_model(tmp_path / "model")
    assert manifest == {
        "model": model.fingerprint,
        "method": "captions",
        "caption": "the digit one",
        "seed": 5,
        "images": [{"file": f"image-00{number}.png", "labels": []} for number in (1, 2)],
    }


def test_a_picture_has_the_caption_beside_what_the_search_finds(
    generate, mc, monkeypatch, tmp_path
):
    drawn = []
    monkeypatch.setattr(
        "melodyconstraints.workflows.images.generate.draw_grid",
        lambda rows, path, row_names: drawn.append((rows, list(row_names))),
    )
    told = ("--captioner", "captioner", "--caption", "the digit one", "--seed", 5)
    assert mc("images", "generate", "-o", "out.png", *told, "-n", 10).exit_code == 0
    ((rows, names),) = drawn
    assert names == ["the digit one", ""]
    expected = generate_from_caption(
        *load_captioner(tmp_path / "captioner"), "the digit one", 10, seed=5
    )
    assert torch.equal(torch.cat(rows), expected)


def test_an_unknown_word_is_told_in_one_line(generate, tmp_path):
    result = generate("--captioner", "captioner", "--caption", "the digit seven")
    known = "digit, one, the, three, two, zero"
    message = f"Error: unknown word 'seven' in 'the digit seven'; known: {known}\n"
    assert (result.exit_code, result.stderr) == (2, message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--caption", "the digit one"], "--caption and --captioner go together: give both"),
        (["--captioner", "captioner"], "--caption and --captioner go together: give both"),
        *(
            (
                ["--captioner", "captioner", "--caption", "the digit one", option, value],
                "--caption takes the place of labels: give no labels with it",
            )
            for option, value in (
                ("--label", "1"),
                ("--with", "smiling"),
                ("--without", "smiling"),
            )
        ),
        (
            ["--captioner", "captioner", "--caption", "the digit one", "--actor", "actor"],
            "an actor of realism alone, trained with --realism-only; this one knows 0, 1, 2, 3",
        ),
        (["--captioner", "captioner", "--caption", "!"], "a caption needs at least one word"),
        (
            ["--captioner", "captioner", "--caption", "the digit one two"],
            "a caption has 4 words, commas counted; this model knows captions of at most 3",
        ),
    ],
    ids=str,
)
def test_wrong_usage_is_told(generate, options, message, tmp_path):
    result = generate(*options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_the_search_sets_out_from_realistic_points_if_asked(generate, monkeypatch):
    started = []
    shift = ImageActor.shift
    monkeypatch.setattr(
        ImageActor, "shift", lambda self, z, **seed: started.append(z) or shift(self, z, **seed)
    )
    options = ("--captioner", "captioner", "--caption", "the digit one", "-n", 3)
    assert generate(*options, "--actor", "realism").exit_code == 0
    assert [tuple(z.shape) for z in started] == [(3, 4)]
