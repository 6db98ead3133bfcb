"""Folders of staff generators whose tables make no sense are refused in one line."""

import pytest
import torch

from melodyconstraints.errors import ArtifactError
from melodyconstraints.melody.vae.tables import wrong_table
from melodyconstraints.workflows.models import load_model, save_model


def test_tables_that_were_measured_make_sense(generator, tmp_path):
    save_model(generator, tmp_path)
    assert wrong_table(load_model(tmp_path)) is None


@pytest.mark.parametrize("name", ["staff", "bundled"])
def test_those_of_the_packaged_models_make_sense(name):
    assert wrong_table(load_model(name)) is None


def falling(quantiles):
    return quantiles.flip(1) + torch.linspace(1, 0, quantiles.shape[1])


@pytest.mark.parametrize(
    ("name", "change", "must"),
    [
        ("key_ranks", lambda table: table.flip(0), "rise from 0 to 1"),
        ("place_ranks", torch.zeros_like, "rise from 0 to 1"),
        ("mode_ranks", lambda table: table * 2, "rise from 0 to 1"),
        ("sigma_bar", torch.zeros_like, "be above 0"),
        ("bars.code_scale", torch.neg, "be above 0"),
        (
            "scores.quantiles",
            falling,
            "rise along each row",
        ),
        ("scores.rotation", torch.zeros_like, "have an inverse"),
        ("scores.rotation", torch.ones_like, "have an inverse"),
        ("prior.flow.rotations", torch.zeros_like, "have an inverse"),
        ("calibration.rhythm", lambda table: table + 60_000, "be from -100 to 100"),
        ("calibration.sources", lambda table: table - 60_000, "be from -100 to 100"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_by_its_name(
    generator, tmp_path, name, change, must
):
    table = generator.get_buffer(name)
    table.copy_(change(table))
    save_model(generator, tmp_path)
    with pytest.raises(ArtifactError) as caught:
        load_model(tmp_path)
    wanted = f"{tmp_path} does not fit this version: tensor {name} must {must}"
    assert str(caught.value).startswith(wanted)
    assert str(caught.value).endswith("; train it again with: mc train-vae")
