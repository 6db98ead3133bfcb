"""A melody store as a torch data set, for training loops outside this package."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from melodyconstraints.datasets.melodies.store import read_store


class MelodyDataset(Dataset[Tensor]):
    """The melodies of one split, in the order of the store.

    An item is ``(256,)`` int64 in [0, 129], see :mod:`melodyconstraints.melody.events`. The
    melodies are held in memory, 256 bytes each.

    Args:
        folder: a melody store.
        split: ``train``, ``validation``, ``test``, or None for all melodies.

    Raises:
        StoreError: the folder is missing, unfinished, damaged or not a melody store.
        UsageError: ``split`` is unknown.
    """

    def __init__(self, folder: Path | str, split: str | None = "train") -> None:
        self.melodies = read_store(folder, split)

    def __len__(self) -> int:
        return len(self.melodies)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(self.melodies.events[index].astype("int64"))
