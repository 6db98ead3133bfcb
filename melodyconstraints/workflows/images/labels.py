"""Names of labels, as the user gives them, to their places among an actor's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from melodyconstraints.datasets.images.labelled_images import find_names
from melodyconstraints.errors import UsageError
from melodyconstraints.images.actor import ImageActor


def check_label_options(actor: ImageActor, options: Mapping[str, Sequence[str]]) -> None:
    """Check that labels are given by the options for an actor's kind of labels.

    Args:
        options: names given by each option; ``--label`` is for classes, the others are for
            attributes.

    Raises:
        UsageError: an option that is for another kind of actor.
    """
    given = {option for option, names in options.items() if names}
    fitting = {"--label"} if actor.exclusive else set(options) - {"--label"}
    if not actor.names:
        known, fitting = "realism alone and no label", set()
    else:
        known = f"{'classes' if actor.exclusive else 'attributes'}: {', '.join(actor.names)}"
    if wrong := sorted(given - fitting):
        instead = f"; give {' and '.join(sorted(fitting))}" if fitting else ""
        raise UsageError(f"{wrong[0]} does not fit: the actor knows {known}{instead}")


def find_classes(names: Sequence[str], actor: ImageActor) -> list[int]:
    """Places of classes among an actor's names.

    Raises:
        UsageError: a class is unknown.
    """
    for name in names:
        if name not in actor.names:
            known = ", ".join(actor.names)
            raise UsageError(f"unknown label {name!r}; known are {known}")
    return [actor.names.index(name) for name in names]


def find_attributes(
    present: Sequence[str], absent: Sequence[str], actor: ImageActor
) -> tuple[list[int], list[int]]:
    """Places among an actor's names of attributes that should hold, and that should not.

    Raises:
        UsageError: an attribute is unknown, or named twice.
    """
    names = find_names([*present, *absent], actor.names)
    places = [actor.names.index(name) for name in names]
    return places[: len(present)], places[len(present) :]
