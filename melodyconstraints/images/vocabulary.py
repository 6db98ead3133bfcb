"""Words of captions and their numbers.

Shapes: ``B`` captions, ``T`` words of a caption and its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from melodyconstraints.errors import UsageError

PADDING, BEGIN, END = 0, 1, 2
"""Tokens that are no words; the words' tokens follow. The model predicts the end and the words."""
_SHOWN = 100
"""Most words of the vocabulary that an error lists."""
_WORD = re.compile(r"\w+(?:['-]\w+)*|,")


@dataclass(frozen=True)
class Vocabulary:
    """Words of captions and their tokens.

    Case and punctuation are ignored, except for the comma, which is a word.

    Args:
        words: ``V`` different words; the first is token 3.

    Example:
        >>> vocabulary = Vocabulary.of(["A bald man.", "a man, smiling"])
        >>> vocabulary.words
        (',', 'a', 'bald', 'man', 'smiling')
        >>> vocabulary.encode(["a man", "a man, smiling"])
        tensor([[4, 6, 2, 0, 0],
                [4, 6, 3, 7, 2]])
        >>> vocabulary.decode([4, 6, 3, 7, 2])
        'a man, smiling'
    """

    words: tuple[str, ...]

    @classmethod
    def of(cls, captions: Iterable[str]) -> Vocabulary:
        """All words of some captions, sorted."""
        return cls(tuple(sorted({word for caption in captions for word in words_of(caption)})))

    def encode(self, captions: Sequence[str]) -> Tensor:
        """Captions to tokens ``(B, T)``: words, the end, padding.

        Raises:
            UsageError: a caption without a word, or an unknown word.
        """
        rows = [self._tokens(caption) for caption in captions]
        tokens = torch.full((len(rows), max(map(len, rows), default=0)), PADDING)
        for row, caption_tokens in zip(tokens, rows, strict=True):
            row[: len(caption_tokens)] = torch.tensor(caption_tokens)
        return tokens

    def decode(self, tokens: Iterable[int]) -> str:
        """Tokens of a caption, up to its end, to text."""
        words: list[str] = []
        for token in map(int, tokens):
            if token <= END:
                break
            words.append(self.words[token - END - 1])
        return " ".join(words).replace(" ,", ",")

    def _tokens(self, caption: str) -> list[int]:
        words = words_of(caption)
        if not words:
            raise UsageError(f"a caption needs at least one word, got {caption!r}")
        for word in words:
            if word not in self._numbers:
                known = ", ".join(word for word in self.words[:_SHOWN] if word != ",")
                more = f" and {len(self.words) - _SHOWN:,} more" * (len(self.words) > _SHOWN)
                raise UsageError(f"unknown word {word!r} in {caption!r}; known: {known}{more}")
        return [*(self._numbers[word] for word in words), END]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: token for token, word in enumerate(self.words, END + 1)}


def words_of(caption: str) -> list[str]:
    """A caption's words and commas in lower case.

    >>> words_of("A young man, wearing 'a hat'!")
    ['a', 'young', 'man', ',', 'wearing', 'a', 'hat']
    """
    return _WORD.findall(caption.lower())
