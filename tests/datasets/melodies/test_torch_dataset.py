"""A store as a torch data set."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from melodyconstraints.datasets.melodies.store import read_store
from melodyconstraints.datasets.melodies.torch_dataset import MelodyDataset
from melodyconstraints.errors import StoreError, UsageError


@pytest.mark.parametrize(
    ("split", "melodies"), [("train", 12), ("validation", 4), ("test", 4), (None, 20)]
)
def test_items_are_the_melodies_of_the_split_in_order(tiny_store, split, melodies):
    items = MelodyDataset(tiny_store, split)
    assert len(items) == melodies
    events = read_store(tiny_store, split).events
    for number in range(melodies):
        assert items[number].dtype == torch.int64
        assert items[number].tolist() == events[number].tolist()


def test_the_split_to_train_on_is_the_default(tiny_store):
    assert len(MelodyDataset(tiny_store)) == 12


def test_an_item_is_the_callers_own(tiny_store):
    items = MelodyDataset(tiny_store)
    before = items[0].clone()
    items[0].zero_()
    assert torch.equal(items[0], before)


def test_a_loader_gives_batches_of_all_melodies(tiny_store):
    items = MelodyDataset(tiny_store, None)
    batches = list(DataLoader(items, batch_size=8))
    assert [tuple(batch.shape) for batch in batches] == [(8, 256), (8, 256), (4, 256)]
    assert np.array_equal(torch.cat(batches).numpy(), read_store(tiny_store).events)


def test_a_loader_may_shuffle(tiny_store):
    items = MelodyDataset(tiny_store, None)
    (batch,) = DataLoader(items, batch_size=20, shuffle=True)
    in_order = torch.stack([items[number] for number in range(20)])
    assert not torch.equal(batch, in_order)
    assert sorted(batch.tolist()) == sorted(in_order.tolist())


def test_a_split_without_melodies_is_an_empty_data_set(make_store, tmp_path):
    store = make_store(tmp_path / "store", np.full((1, 256), 129, np.uint8), ["test"], ["a.mid"])
    items = MelodyDataset(store)
    assert len(items) == 0
    assert list(DataLoader(items, batch_size=8)) == []
    with pytest.raises(IndexError):
        items[0]


def test_what_is_no_store_and_no_split_is_refused(tiny_store, tmp_path):
    with pytest.raises(StoreError, match="none is not a finished melody store"):
        MelodyDataset(tmp_path / "none")
    with pytest.raises(UsageError, match=r"split must be one of .*, got 'dev'"):
        MelodyDataset(tiny_store, "dev")
