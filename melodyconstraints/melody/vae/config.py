"""Sizes and choices of a melody VAE, as frozen values that travel inside the model's folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from melodyconstraints.errors import UsageError
from melodyconstraints.storage.schema import Depth, Size, Units


class ModelConfig(Protocol):
    """A dataclass of a melody model's sizes and choices, of whatever kind the model is."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


@dataclass(frozen=True)
class MelodyVAEConfig:
    """Architecture of a hierarchical LSTM melody VAE (the paper, appendix 9.2.3).

    Args:
        latent_dim: Z, dimensions of z.
        encoder: ``flat``, one bidirectional LSTM over 256 events (the paper), or ``hierarchical``:
            bars side by side, then over the 16 bar codes.
        encoder_units: units a direction of the LSTM that reads events.
        bar_code: size of a bar's summary in a hierarchical encoder.
        conductor_units, conductor_layers: LSTM that turns z into 16 bar embeddings.
        bar_embedding: size of a bar embedding.
        decoder_units, decoder_layers: LSTM that turns a bar embedding into 16 events.
        event_embedding: size of an input event's learned vector, or None for one-hot.
        first_input: input of a bar's first step. ``carry``: the event before it (the paper).
            ``fresh``: a learned start token, so that all bars decode side by side.
        residual: whether a residual path is added beside the LSTMs between bar codes and z and
            between z and bar embeddings; needs the hierarchical encoder.
    """

    latent_dim: Size
    encoder: Literal["flat", "hierarchical"]
    encoder_units: Size
    bar_code: Units
    conductor_units: Size
    conductor_layers: Depth
    bar_embedding: Size
    decoder_units: Size
    decoder_layers: Depth
    event_embedding: Size | None
    first_input: Literal["carry", "fresh"]
    residual: bool

    def __post_init__(self) -> None:
        for name, known in (
            ("encoder", ("flat", "hierarchical")),
            ("first_input", ("carry", "fresh")),
        ):
            if getattr(self, name) not in known:
                raise UsageError(f"{name} must be one of {known}, got {getattr(self, name)!r}")
        if self.residual and self.encoder == "flat":
            raise UsageError("residual=True needs encoder='hierarchical', got 'flat'")


PRESETS: dict[str, MelodyVAEConfig] = {
    "paper": MelodyVAEConfig(
        latent_dim=512,
        encoder="flat",
        encoder_units=2048,
        bar_code=0,
        conductor_units=1024,
        conductor_layers=2,
        bar_embedding=512,
        decoder_units=1024,
        decoder_layers=2,
        event_embedding=None,
        first_input="carry",
        residual=False,
    ),
    "small": MelodyVAEConfig(
        latent_dim=256,
        encoder="hierarchical",
        encoder_units=256,
        bar_code=256,
        conductor_units=256,
        conductor_layers=1,
        bar_embedding=256,
        decoder_units=384,
        decoder_layers=1,
        event_embedding=64,
        first_input="fresh",
        residual=True,
    ),
}
