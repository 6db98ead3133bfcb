"""Arguments of public functions: what is refused, and in which words."""

import inspect
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
import pytest

import melodyconstraints as mc
from melodyconstraints.errors import UsageError
from melodyconstraints.storage.arguments import (
    MOST_SEED,
    check_amount,
    check_fields,
    check_seed,
    checked,
)


class Options(TypedDict, total=False):
    seed: int | None


@checked
def draw(
    n: int,
    share: float = 0.0,
    place: Path | str = "",
    bars: Collection[int] = (),
    names: Iterable[str] = (),
    note: tuple[int, int] = (0, 0),
    is_loud: bool = False,
    weights: Sequence[float] | None = None,
    **options: Unpack[Options],
) -> int:
    return n


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": "3"}, r"n of draw must be a whole number, got '3'; see: help\(draw\)"),
        ({"n": True}, "n of draw must be a whole number, got True"),
        ({"n": 2.0}, "n of draw must be a whole number, got 2.0"),
        ({"n": 1, "share": "x"}, "share of draw must be a number, got 'x'"),
        ({"n": 1, "place": None}, "place of draw must be a path, got None"),
        ({"n": 1, "bars": 3}, "bars of draw must be a list of whole numbers, got 3"),
        ({"n": 1, "bars": "1-4"}, "bars of draw must be a list of whole numbers, got '1-4'"),
        ({"n": 1, "names": [None]}, r"names of draw must be a list of texts, got \[None\]"),
        ({"n": 1, "note": (1,)}, r"note of draw must be a tuple of 2 whole numbers, got \(1,\)"),
        ({"n": 1, "is_loud": "no"}, "is_loud of draw must be True or False, got 'no'"),
        ({"n": 1, "weights": "x"}, "weights of draw must be a list of numbers or None, got 'x'"),
        ({"n": 1, "seed": 1.5}, "seed of draw must be a whole number or None, got 1.5"),
        ({"n": 1, "tempo": 3}, "there is no option tempo; there are seed"),
    ],
)
def test_an_argument_of_another_kind_is_refused_by_its_name(given, message):
    with pytest.raises(UsageError, match=message):
        draw(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"n": np.int64(3), "share": 1, "bars": frozenset({1}), "weights": np.ones(2)},
        {"n": 3, "share": np.float32(0.5), "place": Path(), "names": iter("ab"), "note": [1, 2]},
        {"n": 3, "names": "ab", "bars": range(3), "is_loud": np.bool_(True), "seed": None},
    ],
)
def test_numbers_and_collections_of_any_library_are_taken(given):
    assert draw(**given) == 3


def test_a_call_without_an_argument_fails_as_python_says_it():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'n'"):
        draw()


def test_a_field_of_another_kind_is_refused():
    @dataclass
    class Chord:
        root: int

    check_fields(Chord(1))
    with pytest.raises(UsageError, match="root of Chord must be a whole number, got 'C'"):
        check_fields(Chord("C"))


def test_more_than_fits_is_refused_and_what_to_do_is_said():
    check_amount(10, 10, "tunes")
    with pytest.raises(
        UsageError,
        match="1,000,000 tunes were asked for, and at most 10 are made at once; ask several "
        "times, each with a seed of its own",
    ):
        check_amount(1_000_000, 10, "tunes")


@pytest.mark.parametrize("seed", [-1, MOST_SEED + 1])
def test_a_seed_that_starts_no_generator_is_refused(seed):
    check_seed(MOST_SEED)
    with pytest.raises(UsageError, match=f"seed must be from 0 to {MOST_SEED}, got {seed}"):
        check_seed(seed)


class Foreign:
    """Nothing that any function takes."""


@pytest.mark.parametrize(
    "name",
    [name for name in mc.__all__ if inspect.isfunction(getattr(mc, name)) and name != "rule"],
)
def test_every_public_function_refuses_foreign_objects(name):
    function = getattr(mc, name)
    first, *others = inspect.signature(function).parameters.values()
    needed = [one.name for one in others if one.kind is one.POSITIONAL_OR_KEYWORD]
    with pytest.raises(UsageError, match=r" must be | are played"):
        function(**dict.fromkeys([first.name, *needed], Foreign()))
