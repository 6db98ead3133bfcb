"""Captions from labels, by a grammar: other labels have other captions.

Captions of attributes::

    caption    = subject [ " with " features ] [ wearing ]
    subject    = ( "a " | "an " ) { adjective " " } noun
    noun       = "man" | "woman" | "person" | "picture"
    features   = list of: hair, then features of the table, then all attributes without a row
    hair       = list of colours, " hair"
    wearing    = ( ", wearing " after features | " wearing " ) list of what is worn
    list       = item | item { ", " item } " and " item

An attribute without a row in the table appears by its name in lower case: ``Big_Nose``, "with
big nose". Attributes that do not hold are left out, except two: if ``Male`` does not hold, the
noun is "woman"; if ``Young`` does not hold, an adjective is "older". If ``Male`` is not among the
names, the noun is "person"; if none of the names is in the table, "picture". Attributes follow the
order of the table; those without a row come last, in the order of the names.

Captions of classes, of which exactly one holds::

    caption    = "the digit " ( "zero" | "one" | ... | "nine" ) | ( "a " | "an " ) name
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from melodyconstraints.errors import UsageError


class Phrase(NamedTuple):
    """Words for an attribute.

    Args:
        kind: their place in the grammar.
        holds: words if the attribute holds.
        fails: words if it does not hold; empty if it is left out then.
    """

    kind: Literal["noun", "adjective", "hair", "with", "wearing"]
    holds: str
    fails: str = ""


PHRASES: dict[str, Phrase] = {
    "Male": Phrase("noun", "man", "woman"),
    "Blurry": Phrase("adjective", "blurry"),
    "Attractive": Phrase("adjective", "attractive"),
    "Smiling": Phrase("adjective", "smiling"),
    "Chubby": Phrase("adjective", "chubby"),
    "Young": Phrase("adjective", "young", "older"),
    "Bald": Phrase("adjective", "bald"),
    "Black_Hair": Phrase("hair", "black"),
    "Blond_Hair": Phrase("hair", "blond"),
    "Brown_Hair": Phrase("hair", "brown"),
    "Gray_Hair": Phrase("hair", "gray"),
    "Facial_Hair": Phrase("with", "facial hair"),
    "Eyeglasses": Phrase("wearing", "eyeglasses"),
    "Wearing_Hat": Phrase("wearing", "a hat"),
    "Wearing_Earrings": Phrase("wearing", "earrings"),
    "Wearing_Lipstick": Phrase("wearing", "lipstick"),
    "Wearing_Necklace": Phrase("wearing", "a necklace"),
    "Wearing_Necktie": Phrase("wearing", "a necktie"),
}
"""Attributes of faces, in the order in which a caption mentions them."""

_DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGITS = {str(digit): word for digit, word in enumerate(_DIGIT_WORDS)}


def describe(names: Sequence[str], labels: Iterable[float], *, exclusive: bool = False) -> str:
    """Labels of one image as a caption; see the module's text for the grammar.

    Args:
        names: ``Y`` names of attributes or classes.
        labels: ``Y`` of 0 and 1, or False and True.
        exclusive: whether they are classes.

    Raises:
        UsageError: another number of labels than names, or not one class.

    Example:
        >>> names = ["Bald", "Black_Hair", "Blond_Hair", "Eyeglasses", "Male", "Facial_Hair"]
        >>> names += ["Smiling", "Wearing_Hat", "Young"]
        >>> describe(names, [0, 0, 1, 0, 0, 0, 1, 0, 1])
        'a smiling young woman with blond hair'
        >>> describe(names, [1, 0, 0, 1, 1, 1, 0, 1, 0])
        'an older bald man with facial hair, wearing eyeglasses and a hat'
        >>> describe(names, [0, 1, 1, 1, 0, 1, 0, 0, 1])
        'a young woman with black and blond hair and facial hair, wearing eyeglasses'
        >>> describe(["Big_Nose", "Smiling", "Wearing_Hat"], [1, 1, 0])
        'a smiling person with big nose'
        >>> describe(["Red", "Round"], [True, True])
        'a picture with red and round'
        >>> describe(["6", "7"], [0, 1], exclusive=True)
        'the digit seven'
        >>> describe(["Ankle_Boot", "Shirt"], [1, 0], exclusive=True)
        'an ankle boot'
    """
    held = [bool(label) for label in labels]
    if len(held) != len(names):
        raise UsageError(f"give a label for each of {len(names)} names, got {len(held)}")
    if exclusive:
        if sum(held) != 1:
            raise UsageError(f"exactly one of {', '.join(names)} must hold, got {sum(held)}")
        return _class_caption(names[held.index(True)])
    return _caption(dict(zip(names, held, strict=True)))


def phrase_of(name: str) -> Phrase:
    """The row of an attribute in the table; without a row, a feature with its name.

    >>> phrase_of("Pale_Skin")
    Phrase(kind='with', holds='pale skin', fails='')
    """
    return PHRASES.get(name) or Phrase("with", _spoken(name))


def _caption(said: dict[str, bool]) -> str:
    """Caption of attributes, given whether each holds."""
    ordered = [name for name in PHRASES if name in said]
    ordered += [name for name in said if name not in PHRASES]
    words: dict[str, list[str]] = {
        kind: [] for kind in ("noun", "adjective", "hair", "with", "wearing")
    }
    for name in ordered:
        phrase = phrase_of(name)
        text = phrase.holds if said[name] else phrase.fails
        if text:
            words[phrase.kind].append(text)
    person = any(name in PHRASES for name in said)
    noun = words["noun"] or ["person" if person else "picture"]
    caption = _with_article(" ".join([*words["adjective"], *noun]))
    hair = [f"{_listed(words['hair'])} hair"] if words["hair"] else []
    features = _listed([*hair, *words["with"]])
    if features:
        caption += f" with {features}"
    if words["wearing"]:
        caption += f"{',' * bool(features)} wearing {_listed(words['wearing'])}"
    return caption


def _class_caption(name: str) -> str:
    if name in DIGITS:
        return f"the digit {DIGITS[name]}"
    return _with_article(_spoken(name))


def _with_article(text: str) -> str:
    return f"{'an' if text[:1] in tuple('aeiou') else 'a'} {text}"


def _listed(items: Sequence[str]) -> str:
    """Items with commas, and "and" before the last."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def _spoken(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", name.strip().lower()))
