"""Banks: what they hold, where they are kept, and that no wrong or damaged one is ever used."""

import json
import shutil

import numpy as np
import pytest
import torch

from melodyconstraints.datasets.melodies.store import StoredMelodies, read_store
from melodyconstraints.errors import ArtifactError, StoreError, UsageError
from melodyconstraints.melody.metrics import copies
from melodyconstraints.melody.vae.encoding import encode
from melodyconstraints.melody.vae.model import HierarchicalVAE
from melodyconstraints.melody.vae.sampler import MelodySampler
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.storage import places
from melodyconstraints.storage.artifacts import CONFIG, MANIFEST, WEIGHTS
from melodyconstraints.storage.cache import CACHE
from melodyconstraints.workflows import bank as banks
from melodyconstraints.workflows.bank import (
    STEP,
    load_bank,
    make_bank,
    sample_encodings,
    without_copies,
    write_bank,
)
from melodyconstraints.workflows.models import BUNDLED, PACKAGED, load_model, save_model
from melodyconstraints.workflows.seeds import prior_points


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tiny_model_folder, tmp_path):
    """A model folder that may be written to."""
    return shutil.copytree(tiny_model_folder, tmp_path / "model")


@pytest.fixture
def model(folder):
    return load_model(folder)


@pytest.fixture
def no_decoding(monkeypatch):
    """After a call of this, decoding fails the test."""

    def forbid():
        def decode(*_):
            raise AssertionError("decoded")

        monkeypatch.setattr(MelodySampler, "decode", decode)

    return forbid


def same(one, other):
    assert one.temperature == other.temperature
    assert torch.equal(one.points, other.points)
    assert np.array_equal(one.melodies.events, other.melodies.events)
    assert (one.encodings is None) == (other.encodings is None)
    if one.encodings is not None:
        assert torch.equal(one.encodings, other.encodings)
        assert np.array_equal(one.reconstructions.events, other.reconstructions.events)
    return True


def entries(cache):
    return sorted((cache / "banks").iterdir()) if (cache / "banks").exists() else []


def flip_a_byte(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_a_new_bank_decodes_its_points_and_is_kept(model, cache, no_decoding):
    told = []
    bank = load_bank(model, 0.5, size=20, callback=lambda *progress: told.append(progress))
    assert (bank.temperature, bank.points.shape, len(bank.melodies)) == (0.5, (20, 8), 20)
    assert (bank.encodings, bank.reconstructions) == (None, None)
    assert told == [(20, 20)]
    assert len(entries(cache)) == 1
    again = MelodySampler(model, Sampling(temperature=0.5, seed=banks._EVENTS)).decode(bank.points)
    assert np.array_equal(again.events, bank.melodies.events)
    no_decoding()
    assert same(load_bank(model, 0.5, size=20), bank)


def test_points_are_of_the_prior_and_none_that_actors_are_measured_on(model):
    points = make_bank(model, 0.5, size=400).points
    assert points.mean().abs() < 5 / (400 * 8) ** 0.5
    assert (points.var() - 1).abs() < 5 * (2 / (400 * 8)) ** 0.5
    measured = prior_points(model, 400, 1)
    assert not {tuple(z) for z in measured.tolist()} & {tuple(z) for z in points.tolist()}


def test_the_bank_of_a_model_folder_is_used_before_the_cache(
    model, folder, tiny_store, cache, no_decoding
):
    written = write_bank(folder, tiny_store, size=10)
    assert (len(written.points), len(written.encodings)) == (10, 10)
    no_decoding()
    assert same(load_bank(model, size=10), written)
    assert same(load_bank(model, size=10, data=tiny_store), written)
    assert same(load_bank(model, size=6), written.first(6))
    assert entries(cache) == []


def test_the_bank_of_a_model_of_the_package_stays(folder, tiny_store, tmp_path, monkeypatch):
    monkeypatch.setitem(PACKAGED, "small", folder)
    monkeypatch.chdir(tmp_path)
    for name in ("small", folder):
        with pytest.raises(UsageError, match="give a model of yours: --model DIR"):
            write_bank(name, tiny_store, size=4)
    assert not (folder / "bank").exists()
    assert not (tmp_path / "small").exists()


def test_a_smaller_bank_is_the_beginning_of_a_larger_one(model, folder, tiny_store):
    bank = write_bank(folder, tiny_store, size=10).first(3)
    sizes = [len(bank.points), len(bank.melodies), len(bank.encodings), len(bank.reconstructions)]
    assert sizes == [3, 3, 3, 3]
    assert make_bank(model, 0.5, size=3).first(2).encodings is None


def test_at_another_temperature_the_same_encodings_are_decoded_again(
    model, folder, tiny_store, cache
):
    cold = write_bank(folder, tiny_store, size=10)
    hot = load_bank(model, 1.0, size=10)
    assert hot.temperature == 1.0
    assert torch.equal(hot.points, cold.points)
    assert torch.equal(hot.encodings, cold.encodings)
    assert not np.array_equal(hot.melodies.events, cold.melodies.events)
    assert not np.array_equal(hot.reconstructions.events, cold.reconstructions.events)
    assert len(entries(cache)) == 1
    load_bank(model, 0.7, size=10)
    assert len(entries(cache)) == 2
    assert same(load_bank(model, 1.0, size=10), hot)


def test_more_than_the_folder_holds_is_decoded(model, folder, tiny_store):
    write_bank(folder, tiny_store, size=4)
    bank = load_bank(model, size=9)
    assert (len(bank.points), len(bank.encodings)) == (9, 4)


def test_encodings_are_samples_of_the_posteriors_of_training_melodies(model, tiny_store):
    stored = read_store(tiny_store, "train")
    encodings = sample_encodings(model, stored, 12)
    rows = banks._balanced(stored.sources.astype(str), 12)
    posterior = encode(model, stored.melodies[rows])
    off = (encodings - posterior.mean) / posterior.scale
    assert off.abs().mean() == pytest.approx((2 / np.pi) ** 0.5, abs=0.3)  # 96 normal numbers
    assert torch.allclose(encodings / STEP, (encodings / STEP).round(), atol=1e-4)
    assert torch.equal(sample_encodings(model, stored, 12), encodings)


def test_collections_take_turns_as_long_as_they_have_melodies():
    sources = np.array(["large"] * 50 + ["small"] * 3 + ["middle"] * 10)
    rows = banks._balanced(sources, 18)
    assert sorted(np.unique(sources[rows], return_counts=True)[1].tolist()) == [3, 7, 8]
    assert len(set(rows.tolist())) == 18
    assert sorted(banks._balanced(sources, 100).tolist()) == list(range(63))


def test_a_store_of_its_own_gives_a_model_without_bank_its_encodings(
    model, tiny_store, no_decoding
):
    without = load_bank(model, size=5)
    bank = load_bank(model, size=5, data=tiny_store)
    assert (without.encodings, len(bank.encodings), len(bank.reconstructions)) == (None, 5, 5)
    no_decoding()
    assert same(load_bank(model, size=5, data=tiny_store), bank)
    assert same(load_bank(model, size=5), without)


def test_copies_of_training_melodies_are_left_out(model, tiny_store, some_melodies):
    encodings = sample_encodings(model, read_store(tiny_store, "train"), 4)
    bank = make_bank(model, 0.5, encodings, size=4)
    training = np.concatenate([some_melodies.events, bank.reconstructions.events[1:2]])
    kept = without_copies(bank, training, model)
    assert torch.equal(kept.encodings, bank.encodings[[0, 2, 3]])
    assert np.array_equal(kept.reconstructions.events, bank.reconstructions.events[[0, 2, 3]])
    assert torch.equal(kept.points, bank.points)


def test_either_a_near_copy_or_a_quotation_is_left_out(model, tiny_store, monkeypatch):
    class Judged:
        def __init__(self, training):
            self.similarity = lambda events: np.array([0.69, 0.7, 0.0, 1.0])
            self.quoted = lambda events: np.array([False, False, True, True])

    monkeypatch.setattr(copies, "Originals", Judged)
    encodings = sample_encodings(model, read_store(tiny_store, "train"), 4)
    bank = make_bank(model, 0.5, encodings, size=4)
    kept = without_copies(bank, np.zeros((1, 256), np.uint8), model)
    assert torch.equal(kept.encodings, encodings[:1])


def test_a_store_without_training_melodies_gives_no_encodings(model):
    nothing = StoredMelodies(np.zeros((0, 256), np.uint8), *np.zeros((2, 0), object))
    assert sample_encodings(model, nothing, 5) is None


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, MANIFEST])
@pytest.mark.parametrize("damage", [flip_a_byte, lambda path: path.unlink()])
def test_a_damaged_cache_is_made_anew(model, cache, no_decoding, name, damage):
    bank = load_bank(model, size=6)
    (entry,) = entries(cache)
    damage(entry / name)
    assert same(load_bank(model, size=6), bank)
    no_decoding()
    assert same(load_bank(model, size=6), bank)


def test_a_damaged_bank_of_the_folder_is_passed_over(model, folder, tiny_store, cache):
    bank = write_bank(folder, tiny_store, size=6)
    flip_a_byte(folder / "bank" / WEIGHTS)
    again = load_bank(model, size=6)
    assert np.array_equal(again.melodies.events, bank.melodies.events)
    assert again.encodings is None
    assert len(entries(cache)) == 1


def test_a_bank_of_other_weights_is_never_used(folder, tiny_store, tiny_config, tmp_path):
    torch.manual_seed(1)
    save_model(HierarchicalVAE(tiny_config), tmp_path / "other")
    write_bank(folder, tiny_store, size=6)
    shutil.copytree(folder / "bank", tmp_path / "other" / "bank")
    other = load_model(tmp_path / "other")
    bank = load_bank(other, size=6)
    assert bank.encodings is None
    assert np.array_equal(bank.melodies.events, make_bank(other, 0.5, size=6).melodies.events)


def test_a_bank_whose_points_this_torch_would_not_draw_is_passed_over(
    model, folder, tiny_store, monkeypatch
):
    write_bank(folder, tiny_store, size=6)
    monkeypatch.setattr(banks, "_POINTS", 5)
    bank = load_bank(model, size=6)
    assert bank.encodings is None
    assert torch.equal(bank.points, torch.randn(6, 8, generator=torch.manual_seed(5)))


def test_a_cache_that_cannot_be_written_is_done_without(model, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(CACHE, str(tmp_path / "file"))
    assert len(load_bank(model, size=3).melodies) == 3


def test_the_cache_is_the_users_where_no_other_is_chosen(model, tmp_path, monkeypatch):
    monkeypatch.delenv(CACHE)
    monkeypatch.setattr(places, "user_cache_path", lambda name: tmp_path / name)
    load_bank(model, size=2)
    assert len(entries(tmp_path / "melodyconstraints")) == 1


def test_a_model_that_was_never_saved_has_its_bank_decoded_and_not_kept(tiny_model, cache):
    assert len(load_bank(tiny_model, size=3).melodies) == 3
    assert entries(cache) == []


def test_a_bank_holds_no_pickle_and_says_what_it_is(folder, tiny_store):
    write_bank(folder, tiny_store, size=5)
    names = {path.name for path in (folder / "bank").iterdir()}
    assert names == {CONFIG, WEIGHTS, "README.md", MANIFEST}
    card = (folder / "bank" / "README.md").read_text()
    assert "at temperature 0.5: 5 from\npoints of the prior, 5 from samples (not means)" in card
    assert json.loads((folder / "bank" / CONFIG).read_text())["kind"] == "bank"
    load_model(folder)  # the folder is as whole as before


def test_arguments_that_cannot_be_meant_are_refused(model, tmp_path):
    with pytest.raises(UsageError, match="size must be at least 1, got 0"):
        load_bank(model, size=0)
    with pytest.raises(UsageError, match="temperature"):
        load_bank(model, -1.0, size=2)
    with pytest.raises(StoreError, match="is not a finished melody store"):
        load_bank(model, size=2, data=tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match="not a finished melody-vae folder"):
        write_bank(tmp_path / "nowhere", tmp_path)


def test_the_bundled_model_comes_with_a_bank(no_decoding):
    no_decoding()
    bank = load_bank(load_model("bundled"))
    assert len(bank.points) == 2_048
    # of 2,048; the others came back so well that they would be copies of training melodies
    assert 700 <= len(bank.encodings) == len(bank.reconstructions)
    files = [*BUNDLED.glob("*.*"), *(BUNDLED / "bank").glob("*")]
    assert sum(path.stat().st_size for path in files) < 16_000_000
