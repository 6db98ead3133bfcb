"""A staff generator of a few thousand random weights."""

import pytest
import torch

from melodyconstraints.melody.vae.staff.config import StaffConfig
from melodyconstraints.melody.vae.staff.model import StaffGenerator
from melodyconstraints.melody.vae.staff.training import measure_tables

TINY = StaffConfig(
    bar_code=5,
    token_embedding=4,
    bar_units=12,
    bar_hidden=12,
    step_features=4,
    decoder_units=8,
    units=8,
    layers=2,
    heads=2,
    flow_units=8,
    flow_layers=3,
)


@pytest.fixture
def generator(some_melodies) -> StaffGenerator:
    """Its tables are those of a few random melodies, and no layer starts at zero."""
    torch.manual_seed(0)
    model = StaffGenerator(TINY).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    measure_tables(model, some_melodies.events)
    return model
