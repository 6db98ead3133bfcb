"""``mc images demo``, in a few steps: what it says is what its folders hold."""

import pytest
import torch

from melodyconstraints.images.actor import load_actor
from melodyconstraints.images.checkpoint import load_classifier
from melodyconstraints.workflows.images import demo

PNG = b"\x89PNG"


@pytest.fixture(autouse=True)
def _quick(monkeypatch) -> None:
    monkeypatch.setattr(demo, "MODEL_STEPS", 3)
    monkeypatch.setattr(demo, "CLASSIFIER_STEPS", 100)
    monkeypatch.setattr(demo, "ROUNDS", 2)
    monkeypatch.setattr(demo, "MEASURED", 5)


def test_the_share_that_is_told_is_that_of_the_actor_and_the_classifier(mc, table, tmp_path):
    result = mc("images", "demo")
    assert result.exit_code == 0
    assert result.stderr.endswith(
        "pictures in images-demo/samples.png and images-demo/digits.png\n"
    )
    folder = tmp_path / "images-demo"
    assert {path.name for path in folder.iterdir()} == {
        *("actor", "classifier", "model"),
        *("digits.png", "samples.png"),
    }
    for name in ("digits.png", "samples.png"):
        assert (folder / name).read_bytes().startswith(PNG)
    head, *digits, together, real = table(result.stdout)
    assert head == ["digits", "recognised"]
    assert (together[0], real[0]) == ("made, all", "real, held out")
    actor, judge = load_actor(folder / "actor"), load_classifier(folder / "classifier")
    asked = torch.eye(10).repeat_interleave(5, 0)
    right = (judge.predict(actor.generate(asked, seed=1)) == asked).all(-1).float()
    for number, row in enumerate(digits):
        share = float(right[5 * number : 5 * number + 5].mean())
        assert row == [f"made, asked for {number}", f"{share:.0%}"]
    assert together[1] == f"{float(right.mean()):.1%}"


def test_a_folder_that_is_not_empty_is_left_alone(mc, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("")
    result = mc("images", "demo", "-o", "mine")
    assert result.exit_code == 2
    assert "mine is not empty; choose a new folder by -o" in result.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
