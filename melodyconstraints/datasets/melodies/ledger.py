"""The outcome of an extraction: counters, the ledger files, and the split of each file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TextIO

import numpy as np
from numpy.typing import NDArray

from melodyconstraints.datasets.melodies.extraction import Reject
from melodyconstraints.datasets.melodies.files import SkippedFolder
from melodyconstraints.datasets.melodies.splits import SPLITS, SharedSequences, splits_of
from melodyconstraints.datasets.melodies.spool import TaskResults
from melodyconstraints.datasets.melodies.store import FOLDERS, RECOVERED, REJECTED
from melodyconstraints.melody.midi.windows import DROPS, Drop, Ints
from melodyconstraints.storage.text import unicode_name


@dataclass
class ExtractionSummary:
    """Counters of an extraction; accepted + rejected = files, always.

    Attributes:
        files: number of all files.
        accepted: files that gave at least one melody.
        rejected: files that gave none.
        recovered: files, accepted or not, that only the fallback reader (mido) could read.
        unlisted_folders: folders that cannot be listed; their files are not counted.
        linked_folders: links to folders, which are not followed.
        melodies: rows of the store.
        tunes: groups of accepted files that share music.
        onsets: onsets in all voices in 4/4 or 2/2.
        off_grid: number of those that rounding to sixteenths has moved by more than a 64th.
        splits: number of melodies by split.
        reasons: number of rejected files by reason.
        dropped_windows: number of windows that are no melody, by
            :class:`~melodyconstraints.melody.midi.windows.Drop`.
    """

    files: int = 0
    accepted: int = 0
    rejected: int = 0
    recovered: int = 0
    unlisted_folders: int = 0
    linked_folders: int = 0
    melodies: int = 0
    tunes: int = 0
    onsets: int = 0
    off_grid: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    dropped_windows: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """The summary as plain JSON types, counters sorted by size."""
        return {
            key: dict(value.most_common()) if isinstance(value, Counter) else value
            for key, value in vars(self).items()
        }

    @classmethod
    def from_dict(cls, values: Any) -> ExtractionSummary:
        """Rebuild a summary from :meth:`as_dict`'s values.

        Raises:
            ValueError: they are of other names or types.
        """
        from pydantic import ConfigDict, TypeAdapter  # 0.1 s, which no worker should take

        # In a tuple, since pydantic takes no settings for a dataclass alone.
        adapter = TypeAdapter(tuple[cls], config=ConfigDict(extra="forbid"))  # type: ignore[valid-type]
        (summary,) = adapter.validate_python((values,))
        return summary


@dataclass(frozen=True)
class FileSplits:
    """The tune and the split of each file.

    Attributes:
        tunes: ``(files,)`` int64, number of the first file of the same tune.
        splits: ``(files,)`` int8, indices into :data:`.splits.SPLITS`.
    """

    tunes: Ints
    splits: Ints


class Ledger:
    """Adds up the results of the tasks in their order, and writes the ledger files.

    It holds a few bytes of each file in memory.

    Args:
        files: number of files in all tasks.
        folder: folder of the ledger files.
        scratch: temporary folder for hashes of sequences; emptied at the end.
    """

    def __init__(self, files: int, folder: Path, scratch: Path) -> None:
        self.summary = ExtractionSummary()
        self._digests = np.zeros(files, np.uint64)
        self._melodies = np.zeros(files, np.int64)
        self._stack = ExitStack()
        self._rejected = self._open(folder / REJECTED)
        self._recovered = self._open(folder / RECOVERED)
        self._folder = folder
        self._sequences = SharedSequences(scratch)
        self._stack.callback(self._sequences.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self, path: Path) -> TextIO:
        return self._stack.enter_context(path.open("w", encoding="utf-8"))

    def add_skipped(self, folders: Iterable[SkippedFolder]) -> None:
        """Write a line for each folder whose files are left out, and count them."""
        with (self._folder / FOLDERS).open("w", encoding="utf-8") as ledger:
            for name, detail, is_link in folders:
                _write_line(ledger, {"folder": unicode_name(name), "detail": detail})
                self.summary.linked_folders += is_link
                self.summary.unlisted_folders += not is_link

    def add(self, results: TaskResults, is_new: NDArray[np.bool_]) -> None:
        """Add the results of the next task.

        Args:
            is_new: ``(W,)`` which of its windows no earlier window equals.
        """
        # What is needed of each file when all are known: digest, melodies, sequences.
        first, count = self.summary.files, len(results.files)
        melodies = np.bincount(results.file_numbers("windows"), is_new, count).astype(np.int64)
        self._digests[first : first + count] = results.column("digest")
        self._melodies[first : first + count] = melodies
        self._sequences.add(results.sequences, first + results.file_numbers("sequences"))

        # Counters and ledger files.
        dropped = results.dropped.sum(axis=0)
        dropped[DROPS.index(Drop.DUPLICATE)] += len(is_new) - int(is_new.sum())
        self._write_files(results, melodies)
        summary = self.summary
        summary.files += count
        summary.melodies += int(is_new.sum())
        summary.onsets += int(results.column("onsets").sum())
        summary.off_grid += int(results.column("off_grid").sum())
        summary.dropped_windows.update(
            {str(drop): int(n) for drop, n in zip(DROPS, dropped, strict=True) if n}
        )

    def _write_files(self, results: TaskResults, melodies: Ints) -> None:
        """Write a line for each file that was recovered or rejected, and count them."""
        rows = results.files.select(["file", "reason", "detail", "recovered"]).to_pylist()
        for file, has_melodies in zip(rows, melodies.tolist(), strict=True):
            if file["recovered"]:
                _write_line(self._recovered, {"file": file["file"], "detail": file["recovered"]})
                self.summary.recovered += 1
            if has_melodies:
                self.summary.accepted += 1
                continue
            reason = file["reason"] or Reject.DUPLICATE.value
            self.summary.rejected += 1
            self.summary.reasons[reason] += 1
            detail = {"detail": file["detail"]} if file["detail"] else {}
            _write_line(self._rejected, {"file": file["file"], "reason": reason} | detail)

    def assign_splits(self) -> FileSplits:
        """Group the files into tunes, assign the splits, and complete the summary."""
        tunes = self._sequences.find_tunes(len(self._digests))
        splits = splits_of(self._digests, tunes)
        melodies = np.bincount(splits, self._melodies, len(SPLITS)).astype(int)
        self.summary.splits = Counter(
            {split: int(n) for split, n in zip(SPLITS, melodies, strict=True) if n}
        )
        self.summary.tunes = len(np.unique(tunes[self._melodies > 0]))
        return FileSplits(tunes, splits)


def _write_line(ledger: TextIO, entry: dict[str, str]) -> None:
    ledger.write(json.dumps(entry) + "\n")
