"""Folders of weights: what is saved comes back, and no damage goes unseen."""

import json

import pytest
import torch

from melodyconstraints.errors import ArtifactError, UsageError
from melodyconstraints.storage.artifacts import (
    CARD,
    CONFIG,
    FORMAT,
    MANIFEST,
    WEIGHTS,
    _sha256,
    check_free,
    load_artifact,
    save_artifact,
)
from melodyconstraints.storage.files import write_atomically

SETTINGS = {"latent_dim": 2, "rules": ["cmajor"], "temperature": 0.5, "parent": None}


def weights():
    return {
        "layer.weight": torch.tensor([[0.1, -2.0], [3.0, 1e-30]]),
        "transposed": torch.arange(6.0).reshape(2, 3).T,
        "half": torch.tensor([1.5], dtype=torch.bfloat16),
        "count": torch.tensor(7),
    }


@pytest.fixture
def folder(tmp_path):
    save_artifact(tmp_path / "thing", "actor", SETTINGS, weights(), "# A card\n")
    return tmp_path / "thing"


def renew_manifest(folder):
    """Make the manifest fit the files again, as somebody who edits by hand might."""
    hashes = {name: _sha256((folder / name).read_bytes()) for name in (CONFIG, WEIGHTS)}
    (folder / MANIFEST).write_text(json.dumps(hashes), encoding="utf-8")


def flip_a_byte(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_config_and_tensors_come_back_equal(folder):
    artifact = load_artifact(folder, "actor")
    assert artifact.config == SETTINGS
    assert artifact.tensors().keys() == weights().keys()
    for name, tensor in weights().items():
        assert artifact.tensors()[name].dtype == tensor.dtype
        assert torch.equal(artifact.tensors()[name], tensor)


def test_the_folder_holds_four_files_and_no_leftovers(folder):
    assert {path.name for path in folder.iterdir()} == {CONFIG, WEIGHTS, CARD, MANIFEST}
    assert (folder / CARD).read_text(encoding="utf-8").endswith("# A card\n")
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    assert (config["format"], config["kind"]) == (FORMAT, "actor")


def test_the_manifest_names_the_hash_of_configuration_and_weights(folder):
    hashes = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert hashes == {n: _sha256((folder / n).read_bytes()) for n in (CONFIG, WEIGHTS)}


def test_the_fingerprint_is_the_same_when_saved_loaded_and_saved_elsewhere(folder, tmp_path):
    again = save_artifact(tmp_path / "other", "actor", SETTINGS, weights(), "another card")
    assert load_artifact(folder, "actor").fingerprint == again
    assert load_artifact(tmp_path / "other", "actor").fingerprint == again


def test_the_fingerprint_changes_with_one_weight_one_setting_and_the_kind(tmp_path):
    other_weights = weights()
    other_weights["layer.weight"][0, 0] = 0.1000001
    saved = [
        save_artifact(tmp_path / str(index), kind, settings, tensors, "")
        for index, (kind, settings, tensors) in enumerate(
            [
                ("actor", SETTINGS, weights()),
                ("actor", SETTINGS, other_weights),
                ("actor", {**SETTINGS, "temperature": 0.6}, weights()),
                ("melody-vae", SETTINGS, weights()),
            ]
        )
    ]
    assert len(set(saved)) == 4


def test_saving_again_replaces_what_was_there(folder):
    save_artifact(folder, "actor", {"latent_dim": 3}, {"w": torch.ones(1)}, "new")
    artifact = load_artifact(folder, "actor")
    assert artifact.config == {"latent_dim": 3}
    assert artifact.tensors().keys() == {"w"}


def test_a_save_that_dies_halfway_leaves_a_folder_that_says_it_is_unfinished(folder, monkeypatch):
    def die(path, data):
        if path.name == WEIGHTS:
            raise KeyboardInterrupt
        write_atomically(path, data)

    monkeypatch.setattr("melodyconstraints.storage.artifacts.write_atomically", die)
    with pytest.raises(KeyboardInterrupt):
        save_artifact(folder, "actor", SETTINGS, weights(), "")
    with pytest.raises(ArtifactError, match="not a finished actor folder"):
        load_artifact(folder, "actor")


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"not a finished melody-vae folder: manifest\.json"):
        load_artifact(tmp_path / "nowhere", "melody-vae")


def test_a_folder_without_manifest_is_unfinished(folder):
    (folder / MANIFEST).unlink()
    with pytest.raises(ArtifactError, match="not a finished actor folder"):
        load_artifact(folder, "actor")


def test_a_folder_of_melodies_with_their_own_manifest_is_no_artifact(folder):
    (folder / MANIFEST).write_text('{"melodies": []}', encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"not a finished actor folder: manifest\.json does"):
        load_artifact(folder, "actor")


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=rf"is damaged: {name} cannot be read"):
        load_artifact(folder, "actor")


def test_a_flipped_bit_in_the_weights_is_seen(folder):
    flip_a_byte(folder / WEIGHTS)
    with pytest.raises(ArtifactError, match=r"damaged: model.safetensors does not match manifest"):
        load_artifact(folder, "actor")


def test_an_edited_config_is_seen(folder):
    text = (folder / CONFIG).read_text(encoding="utf-8")
    (folder / CONFIG).write_text(text.replace("0.5", "0.9"), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"config.json does not match manifest.json; make or"):
        load_artifact(folder, "actor")


def test_a_folder_of_another_kind_is_refused(folder):
    with pytest.raises(
        ArtifactError, match=r"is of kind actor, .*; kind melody-vae, .* is wanted"
    ):
        load_artifact(folder, "melody-vae")


def test_a_folder_of_another_format_is_refused(folder):
    text = (folder / CONFIG).read_text(encoding="utf-8")
    (folder / CONFIG).write_text(text.replace(FORMAT, "someone-elses-9"), encoding="utf-8")
    renew_manifest(folder)
    with pytest.raises(ArtifactError, match="is of kind actor, format someone-elses-9"):
        load_artifact(folder, "actor")


@pytest.mark.parametrize("name", [CONFIG, MANIFEST])
def test_json_that_is_no_object_is_refused(folder, name):
    (folder / name).write_text("[1, 2]", encoding="utf-8")
    if name == CONFIG:
        renew_manifest(folder)
    with pytest.raises(ArtifactError, match=rf"{name} is damaged: it holds no JSON object"):
        load_artifact(folder, "actor")


@pytest.mark.parametrize("content", [b'{"cut', b"\xff\xfe\x00"])
def test_a_manifest_that_is_no_json_is_refused(folder, content):
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(ArtifactError, match=r"manifest.json is damaged: "):
        load_artifact(folder, "actor")


def test_a_place_that_is_free_may_be_written(tmp_path):
    check_free(tmp_path / "new", "actor", overwrite=False, remedy="")
    (tmp_path / "empty").mkdir()
    check_free(tmp_path / "empty", "actor", overwrite=False, remedy="")


def test_results_of_the_same_kind_are_replaced_only_when_told_to(folder):
    with pytest.raises(UsageError, match="already holds the actor of an earlier run; say please"):
        check_free(folder, "actor", overwrite=False, remedy="say please")
    check_free(folder, "actor", overwrite=True, remedy="say please")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("config", [None, b"[1]", b"{cut", b'{"kind": "melody-vae"}', b"\xff"])
def test_other_peoples_files_are_never_replaced(tmp_path, overwrite, config):
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    if config is not None:
        (tmp_path / CONFIG).write_bytes(config)
    with pytest.raises(UsageError, match="holds other files; choose an empty or new folder"):
        check_free(tmp_path, "actor", overwrite=overwrite, remedy="")


def test_a_file_is_no_place_for_a_folder(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match="holds other files"):
        check_free(tmp_path / "file", "actor", overwrite=True, remedy="")


class Grown(torch.nn.Module):
    """A module that had no offset once."""

    added_tensors = ("offset",)

    def __init__(self):
        super().__init__()
        self.register_buffer("offset", torch.ones(2))
        self.register_buffer("scale", torch.ones(2))


@pytest.mark.parametrize("missing", ["offset", "scale"])
def test_what_a_module_got_later_is_zero_in_older_folders_and_all_else_must_be_there(
    tmp_path, missing
):
    tensors = {"offset": torch.tensor([3.0, 4.0]), "scale": torch.tensor([1.0, 2.0])}
    del tensors[missing]
    save_artifact(tmp_path / "thing", "actor", SETTINGS, tensors, "")
    artifact = load_artifact(tmp_path / "thing", "actor")
    if missing == "scale":
        with pytest.raises(ArtifactError, match="scale has shape None"):
            artifact.fill(Grown)
        return
    module = artifact.fill(Grown)
    assert module.offset.tolist() == [0, 0]
    assert module.scale.tolist() == [1, 2]
