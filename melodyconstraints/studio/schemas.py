"""Requests and answers of the API, with their ranges.

A melody is a list of notes ``[onset, duration, pitch]``: onset and duration in sixteenths of the
16 bars (256 of them), pitch as MIDI numbers it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from melodyconstraints.latent.satisfaction import SATISFIED
from melodyconstraints.melody.events import PITCHES, Melody
from melodyconstraints.melody.performance import MOST_SWING, STRAIGHT
from melodyconstraints.melody.units import (
    BARS,
    DEFAULT_TEMPO,
    MAX_TEMPO,
    MIN_TEMPO,
    STEPS,
)
from melodyconstraints.storage.arguments import DEFAULT_SEED

MOST_MELODIES = 64
MOST_RULES = 16
MOST_SEED = 2**31 - 1
LONGEST_SPEC, LONGEST_CODE = 200, 20_000
"""Characters of a rule's specification, and of a rule in Python."""


def _refuse_boolean(value: Any) -> Any:
    """Refuse true and false, which Python takes for 1 and 0."""
    if isinstance(value, bool):
        raise PydanticCustomError("number", "Input should be a number, not true or false")
    return value


Integer = Annotated[int, BeforeValidator(_refuse_boolean)]
Number = Annotated[float, BeforeValidator(_refuse_boolean)]
Note = tuple[
    Annotated[Integer, Field(ge=0, lt=STEPS)],
    Annotated[Integer, Field(ge=1, le=STEPS)],
    Annotated[Integer, Field(ge=0, lt=PITCHES)],
]
Notes = Annotated[list[Note], Field(max_length=STEPS, examples=[[[0, 4, 60], [4, 4, 64]]])]
Spec = Annotated[str, Field(min_length=1, max_length=LONGEST_SPEC, examples=["scale:D-dorian"])]
Bars = Annotated[list[Annotated[Integer, Field(ge=1, le=BARS)]], Field(max_length=BARS)]
Seed = Annotated[Integer, Field(ge=0, le=MOST_SEED)]
Tempo = Annotated[Number, Field(ge=MIN_TEMPO, le=MAX_TEMPO)]
Text = Annotated[str, Field(max_length=200)]
Form = Annotated[str, Field(max_length=40, examples=["AABA"])]
PitchClasses = Annotated[list[Annotated[Integer, Field(ge=0, lt=12)]], Field(max_length=12)]


class Body(BaseModel):
    """A body of JSON; fields that are not known are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Wish(Body):
    """A rule and how much it counts."""

    spec: Spec
    weight: Number = Field(1.0, ge=0, le=10)


Wishes = Annotated[list[Wish], Field(max_length=MOST_RULES)]


class GenerateRequest(Body):
    """Melodies that satisfy rules; without rules, melodies from the model's prior."""

    rules: Wishes = []
    n: Integer = Field(8, ge=1, le=MOST_MELODIES)
    seed: Seed = DEFAULT_SEED
    temperature: Number | None = Field(None, ge=0, le=2)
    form: Form | None = Field(None, description="which bars repeat which; none: as they come")


class RerollRequest(GenerateRequest):
    """Other melodies in place of one, some of its bars kept note for note."""

    melody: Notes
    keep_bars: Bars = []
    strength: Number = Field(1.0, ge=0, le=1, description="0 stays near the melody, 1 is new")


class TransformRequest(Body):
    """A melody, changed as little as the rules need."""

    melody: Notes
    rules: Wishes = Field(min_length=1)
    strength: Number = Field(1.0, ge=0, le=2)
    keep_bars: Bars = []
    variations: Integer = Field(1, ge=1, le=8)
    seed: Seed = DEFAULT_SEED


class ScoreRequest(Body):
    """Melodies to be given rewards."""

    melodies: list[Notes] = Field(max_length=MOST_MELODIES)
    rules: Wishes


class RulesRequest(Body):
    """Specifications of rules to be checked, each for itself, however long."""

    rules: list[Annotated[str, Field(min_length=0)]] = Field(
        max_length=MOST_RULES, examples=[["scale:D-dorian"]]
    )


class ReconstructRequest(Body):
    """A melody that the model encodes and decodes."""

    melody: Notes


class InterpolateRequest(Body):
    """Two melodies, and how many are wanted from one to the other, both ends included."""

    start: Notes
    end: Notes
    n: Integer = Field(9, ge=2, le=33)


class ExportRequest(Body):
    """Melodies for files; in one file, each has a track or, in MusicXML, a staff."""

    melodies: list[Notes] = Field(min_length=1, max_length=MOST_MELODIES)
    format: Literal["mid", "dawproject", "musicxml"] = "mid"
    velocity: Literal["flat", "shaped"] = Field(
        "flat", description="shaped: accents on strong beats, phrases that swell and fade"
    )
    swing: Number = Field(
        STRAIGHT,
        ge=0,
        le=MOST_SWING,
        description="percent of a beat for its first eighth: 50 (or 0) is straight, 75 dotted",
    )
    seed: Seed = Field(DEFAULT_SEED, description="of the chance in shaped velocities")
    tempo: Tempo = DEFAULT_TEMPO
    program: Integer = Field(0, ge=0, le=127)
    key: str | None = Field(None, max_length=4)
    name: Text = "melody"


class TrainRequest(Body):
    """Rules that an actor is trained for."""

    rules: Wishes = Field(min_length=1)
    form: Form | None = None


class CodeRequest(Body):
    """A rule in Python."""

    text: str = Field(min_length=1, max_length=LONGEST_CODE)


class Rewarded(Body):
    """A melody with a reward for each rule."""

    notes: Notes
    rewards: list[Number] = Field([], max_length=MOST_RULES)
    satisfied_rules: list[bool] = Field(
        [], max_length=MOST_RULES, description="whether it satisfies each rule"
    )
    satisfied: bool | None = Field(
        None, description="whether it satisfies every rule whose weight is not 0"
    )

    @model_validator(mode="after")
    def _of_an_earlier_history(self) -> Self:
        """States that were written before have rewards alone."""
        if len(self.satisfied_rules) < len(self.rewards):
            self.satisfied_rules = [reward >= SATISFIED for reward in self.rewards]
        return self


class State(Body):
    """State of the page: one entry of the history."""

    title: Text
    kind: Text = "generate"
    parent: Integer | None = Field(None, ge=0)
    seed: Seed = DEFAULT_SEED
    tempo: Tempo = DEFAULT_TEMPO
    wishes: Wishes = []
    form: Form | None = None
    rules: list[Text] = Field([], max_length=MOST_RULES)
    melodies: list[Rewarded] = Field(min_length=1, max_length=MOST_MELODIES)
    current: Integer = Field(0, ge=0, lt=MOST_MELODIES)
    starred: list[Integer] = Field([], max_length=MOST_MELODIES)
    bars: Bars = []
    before: Notes | None = None
    pitch_classes: PitchClasses | None = None
    key: str | None = Field(None, max_length=4)
    how: Text = ""


class Position(Body):
    """The entry of the history that is shown."""

    number: Integer = Field(ge=0)


def melody_of(notes: Notes) -> Melody:
    """A melody of notes.

    Raises:
        UsageError: a note sounds beyond the 16 bars.
    """
    return Melody.from_notes(notes)


def notes_of(melody: Melody) -> list[list[int]]:
    """Notes of a melody, as JSON has them.

    >>> notes_of(Melody.from_notes([(0, 4, 60)]))
    [[0, 4, 60]]
    """
    columns = (melody.onsets.tolist(), melody.durations.tolist(), melody.pitches.tolist())
    return [list(note) for note in zip(*columns, strict=True)]


Answer = dict[str, Any]
"""JSON."""
