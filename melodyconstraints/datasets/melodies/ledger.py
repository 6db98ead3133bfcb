"""What an extraction comes to: counters, the ledger, and where each melody goes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TextIO

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from melodyconstraints.datasets.melodies.extraction import Reject
from melodyconstraints.datasets.melodies.splits import SPLITS, SharedSequences, splits_of
from melodyconstraints.datasets.melodies.spool import Chunk
from melodyconstraints.datasets.melodies.store import RECOVERED, REJECTED
from melodyconstraints.melody.midi.windows import DROPS, Drop, Ints

Mask = NDArray[np.bool_]


@dataclass
class ExtractionSummary:
    """Counters of a whole run; accepted + rejected = files, always.

    Attributes:
        recovered: files, accepted or not, that only the second look could read.
        tunes: groups of accepted files that share music.
        splits: melodies.
        reasons: rejected files.
        dropped_windows: by :class:`~melodyconstraints.melody.midi.windows.Drop`.
    """

    files: int = 0
    accepted: int = 0
    rejected: int = 0
    recovered: int = 0
    melodies: int = 0
    tunes: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    dropped_windows: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, counters sorted by size."""
        return {
            key: dict(value.most_common()) if isinstance(value, Counter) else value
            for key, value in vars(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ExtractionSummary:
        """The inverse of :meth:`as_dict`."""
        counted: dict[str, Any] = {
            key: Counter(value) if isinstance(value, dict) else value
            for key, value in values.items()
        }
        return cls(**counted)


@dataclass(frozen=True)
class Sides:
    """The tune and the split of each file.

    Attributes:
        tunes: ``(files,)`` int64.
        splits: ``(files,)`` int8, places in :data:`.splits.SPLITS`.
    """

    tunes: Ints
    splits: Ints


class Account:
    """Takes the results of the tasks in their order, and keeps a few bytes of each file.

    Args:
        files: how many there are.
        folder: where the ledger is written.
        scratch: where sequences are kept for a while.
    """

    def __init__(self, files: int, folder: Path, scratch: Path) -> None:
        self.summary = ExtractionSummary()
        self._digests = np.zeros(files, np.uint64)
        self._melodies = np.zeros(files, np.int64)
        self._stack = ExitStack()
        self._rejected = self._ledger(folder / REJECTED)
        self._recovered = self._ledger(folder / RECOVERED)
        self._sequences = SharedSequences(scratch)
        self._stack.callback(self._sequences.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _ledger(self, path: Path) -> TextIO:
        return self._stack.enter_context(path.open("w", encoding="utf-8"))

    def enter(self, chunk: Chunk, fresh: Mask) -> None:
        """Take up a task's results.

        Args:
            fresh: ``(W,)`` which of its windows were not seen before.
        """
        first, count = self.summary.files, len(chunk.files)
        kept = np.bincount(chunk.file_of("windows"), fresh, count).astype(np.int64)
        self._digests[first : first + count] = chunk.column("digest")
        self._melodies[first : first + count] = kept
        self._sequences.add(chunk.sequences, first + chunk.file_of("sequences"))
        dropped = chunk.dropped.sum(axis=0)
        dropped[DROPS.index(Drop.DUPLICATE)] += len(fresh) - int(fresh.sum())
        self._note_files(chunk, kept)
        summary = self.summary
        summary.files += count
        summary.melodies += int(fresh.sum())
        summary.dropped_windows.update(
            {str(drop): int(n) for drop, n in zip(DROPS, dropped, strict=True) if n}
        )

    def _note_files(self, chunk: Chunk, kept: Ints) -> None:
        recovered = chunk.files.filter(pc.field("recovered") != "")
        for file in recovered.select(["file", "recovered"]).to_pylist():
            _write_line(self._recovered, {"file": file["file"], "detail": file["recovered"]})
        rejected = chunk.files.take(np.flatnonzero(kept == 0))
        for file in rejected.select(["file", "reason", "detail"]).to_pylist():
            reason = file["reason"] or Reject.DUPLICATE.value
            self.summary.reasons[reason] += 1
            detail = {"detail": file["detail"]} if file["detail"] else {}
            _write_line(self._rejected, {"file": file["file"], "reason": reason} | detail)
        self.summary.recovered += len(recovered)
        self.summary.rejected += len(rejected)
        self.summary.accepted += len(kept) - len(rejected)

    def close(self) -> Sides:
        """Settle the tunes and the splits, and complete the counters."""
        tunes = self._sequences.tunes(len(self._digests))
        splits = splits_of(self._digests, tunes)
        melodies = np.bincount(splits, self._melodies, len(SPLITS)).astype(int)
        self.summary.splits = Counter(
            {split: int(n) for split, n in zip(SPLITS, melodies, strict=True) if n}
        )
        self.summary.tunes = len(np.unique(tunes[self._melodies > 0]))
        return Sides(tunes, splits)


def _write_line(ledger: TextIO, entry: dict[str, str]) -> None:
    ledger.write(json.dumps(entry) + "\n")
