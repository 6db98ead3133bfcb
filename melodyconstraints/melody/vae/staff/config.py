"""Sizes of a staff generator, as frozen values that travel inside the model's folder."""

from __future__ import annotations

from dataclasses import dataclass

from melodyconstraints.errors import UsageError
from melodyconstraints.storage.schema import Depth, Size, Weight


@dataclass(frozen=True)
class StaffConfig:
    """Architecture of a staff generator.

    Args:
        bar_code: C, dimensions of a bar's code, at least 2.
        token_embedding: size of a token's learned vector.
        bar_units: units of the hidden layers that read a bar.
        bar_hidden: units of the hidden layers that prepare its steps.
        step_features: numbers that a code gives each step of its bar.
        decoder_units: units of the GRU that turns them into tokens.
        units, layers, heads: sizes of the transformer that reads the bars before.
        flow_units, flow_layers: hidden units and couplings of the flow from noise to codes.
        code_noise: factor on the posterior scale of bars' codes, as the flow learns them.
        spread: factor on the noise of the bars and temperature of their first lines, at most 1.
            Below 1 melodies are drawn nearer to the likeliest. The training does not depend on it.
    """

    bar_code: Size = 24
    token_embedding: Size = 32
    bar_units: Size = 512
    bar_hidden: Size = 384
    step_features: Size = 48
    decoder_units: Size = 192
    units: Size = 256
    layers: Depth = 4
    heads: Size = 8
    flow_units: Size = 256
    flow_layers: Depth = 8
    code_noise: Weight = 0.7
    spread: float = 0.7

    def __post_init__(self) -> None:
        if self.units % self.heads:
            raise UsageError(
                f"units must be a multiple of heads, got {self.units} and {self.heads}"
            )
        if self.bar_code < 2:
            raise UsageError(f"bar_code must be at least 2, got {self.bar_code}")
        if not 0 < self.spread <= 1:
            raise UsageError(f"spread must be above 0 and at most 1, got {self.spread}")


STAFF_PRESETS = {"staff": StaffConfig()}
