"""Folders that lie, with manifests that match: refused in one line, before anything is built."""

import json
import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from melodyconstraints.errors import ArtifactError
from melodyconstraints.images import actor as image_actor
from melodyconstraints.images import captions, checkpoint
from melodyconstraints.images.classifier import ClassifierConfig, ImageClassifier
from melodyconstraints.images.config import ImageVAEConfig, TrunkConfig
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.latent.networks import build_networks
from melodyconstraints.latent.pair import RoundRecord
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.rules import find_rules
from melodyconstraints.storage.artifacts import CONFIG, MANIFEST, WEIGHTS, _sha256
from melodyconstraints.workflows import conditional
from melodyconstraints.workflows.actor import MelodyActor
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.models import load_model, save_model

SETTINGS = ActorCriticSettings(actor_hidden=(16,), critic_hidden=(16,), condition_units=4)
TRUNK = TrunkConfig((1, 8, 8), "feed-forward", (6,))
STAFF = {"flow_layers": 2}
LOADERS = {
    "model": load_model,
    "actor": load_actor,
    "knobs": conditional.load_knobs,
    "image model": checkpoint.load_model,
    "classifier": checkpoint.load_classifier,
    "image actor": image_actor.load_actor,
    "captioner": captions.load_captioner,
}
SIZES = [0, -1, 1.5, "8", None, True, 13, 30_000, 10**30, [8], {}, math.nan]
VALUES = [
    *(("model", "model.decoder_units", value) for value in SIZES),
    ("model", "model", None),
    ("model", "model", []),
    ("model", "model.unheard_of", 1),
    ("model", "model.encoder", "conv"),
    ("model", "model.residual", "yes"),
    ("model", "model.latent_dim", 9),
    ("model", "model.conductor_layers", 10**9),
    ("model", "model.event_embedding", -1),
    ("model", "training", []),
    ("model", "format", "melodyconstraints-9"),
    ("model", "kind", "actor"),
    ("model", "kind", "\x1b[31m" * 99),
    ("model", "model", STAFF),
    ("model", "model", STAFF | {"bar_code": 1}),
    ("model", "model", STAFF | {"bar_code": 1 << 16}),
    ("model", "model", STAFF | {"heads": 0}),
    ("model", "model", STAFF | {"layers": 10**9}),
    ("model", "model", STAFF | {"spread": math.nan}),
    ("model", "model", STAFF | {"code_noise": -1.0}),
    ("model", "model", {"flow_layers": "8"}),
    *(("actor", "temperature", value) for value in (math.nan, math.inf, -1.0, "hot", None, [])),
    *(("actor", "weights", value) for value in ([math.nan], [-1.0], [1.0] * 3, ["a"], 1.0)),
    ("actor", "settings.critic_hidden", [40_000, 40_000]),
    ("actor", "settings.critic_hidden", [17]),
    ("actor", "settings.actor_hidden", "16"),
    ("actor", "settings.actor_hidden", [0]),
    ("actor", "settings.actor_hidden", [16] * 1000),
    ("actor", "settings.learning_rate", math.nan),
    ("actor", "settings.betas", [0.5]),
    ("actor", "settings.sharpness", 2),
    ("actor", "settings.rounds", 0),
    ("actor", "settings.gate_bias", math.inf),
    ("actor", "settings.unheard_of", 1),
    ("actor", "records", [{}]),
    ("actor", "records.0.rewards", [1.0]),
    ("actor", "records.0.round", -1),
    ("actor", "rules", "cmajor"),
    ("actor", "rules", [{}]),
    ("actor", "rules", [{"name": "a", "spec": "cmajor"}] * 3),
    ("actor", "heads", [[1, 2]]),
    ("actor", "heads", []),
    ("actor", "method", "leap"),
    ("actor", "form", "A\n"),
    ("actor", "method", "langevin"),
    ("actor", "best", "all"),
    ("actor", "decoded", math.inf),
    ("actor", "interrupted", 1),
    ("actor", "examples", [1]),
    ("actor", "model", {}),
    ("actor", "model.fingerprint", "0" * 64),
    ("actor", "model.folder", "/nowhere"),
    ("actor", "model.folder", "\0"),
    ("knobs", "heads", [["scale"]]),
    ("knobs", "method", "gradient"),
    ("knobs", "settings.condition_units", 5),
    ("image model", "model.trunk.shape", [1, 8]),
    ("image model", "model.trunk.shape", [0, 8, 8]),
    ("image model", "model.trunk.shape", [1, 10**6, 10**6]),
    ("image model", "model.trunk.shape", [4096, 4096, 4096]),
    ("image model", "model.trunk.architecture", "recurrent"),
    ("image model", "model.trunk.widths", []),
    ("image model", "model.trunk.widths", [10**9]),
    ("image model", "model.sigma_x", math.nan),
    ("image model", "model.sigma_x", -1.0),
    ("image model", "model.latent_dim", 0),
    ("classifier", "classifier.names", []),
    ("classifier", "classifier.exclusive", "no"),
    ("classifier", "classifier.hidden", -1),
    ("classifier", "classifier.hidden", 1 << 15),
    ("image actor", "names", ["a"]),
    ("image actor", "method", "gradient"),
    ("image actor", "exclusive", None),
    ("captioner", "captioner.hidden", []),
    ("captioner", "captioner.longest", 0),
    ("captioner", "captioner.embedding", 10**7),
    ("captioner", "captioner.words", [1]),
]


class Bomb:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


HEADER = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
FILES = {
    "a pickle": (WEIGHTS, pickle.dumps(Bomb())),
    "nothing": (WEIGHTS, b""),
    "a header without end": (WEIGHTS, (1 << 62).to_bytes(8, "little") + b"{"),
    "a header too deep": (WEIGHTS, (90_000).to_bytes(8, "little") + b"[" * 90_000),
    "other tensors": (WEIGHTS, len(HEADER).to_bytes(8, "little") + HEADER + bytes(4)),
    "tensors cut off": (WEIGHTS, len(HEADER).to_bytes(8, "little") + HEADER),
    "JSON too deep": (CONFIG, b"[" * 100_000),
    "objects too deep": (CONFIG, b'{"kind":' * 100_000),
    "no JSON": (CONFIG, b"\xff\xfe"),
    "a list": (CONFIG, b"[]"),
    "half a character": (CONFIG, b'{"kind": "\\ud800"}'),
    "too much": (CONFIG, b" " * ((1 << 24) + 1)),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tiny_model_folder) -> dict[str, Path]:
    """A whole folder of each kind."""
    root = tmp_path_factory.mktemp("folders")
    whole = {name: root / name for name in LOADERS}
    model = load_model(tiny_model_folder)
    record = RoundRecord(0, 0.0, math.nan, 0.0, [1.0, 1.0], [1.0, 1.0], 1.0)
    shared = {"settings": SETTINGS, "records": [record]}
    actor, critic = build_networks(8, SETTINGS, [2], [0])
    rules = find_rules(["cmajor", "density:2"])
    heads = (("cmajor", "density:2"),)
    melody_actor = MelodyActor(
        model=model, rules=rules, actor=actor, critic=critic, heads=heads, **shared
    )
    melody_actor.save(whole["actor"])
    actor, critic = build_networks(8, SETTINGS, [], [], conditional.CONDITION)
    knobs = conditional.ConditionalActor(model=model, actor=actor, critic=critic, **shared)
    conditional.save_knobs(knobs, whole["knobs"])
    checkpoint.save_model(images := ImageVAE(ImageVAEConfig(TRUNK, 3)), whole["image model"])
    classes = ImageClassifier(ClassifierConfig(TRUNK, ("a", "b"), True))
    checkpoint.save_classifier(classes, whole["classifier"])
    actor, critic = build_networks(3, SETTINGS, [1], [2], 2)
    labelled = {"model": images, "names": ("a", "b"), "exclusive": True}
    of_images = image_actor.ImageActor(actor=actor, critic=critic, **labelled, **shared)
    image_actor.save_actor(of_images, whole["image actor"])
    sizes = captions.CaptionConfig(3, ("a",), 2, (4,), 4, 4)
    captions.save_captioner(captions.CaptionModel(sizes), images, whole["captioner"])
    return whole | {"model": tiny_model_folder}


def forge(whole: Path, lie: Path, name: str, data: bytes) -> Path:
    """A copy of a folder with one file changed and a manifest that matches."""
    lie.mkdir()
    files = {one: (whole / one).read_bytes() for one in (CONFIG, WEIGHTS)} | {name: data}
    for one, content in files.items():
        (lie / one).write_bytes(content)
    hashes = {one: _sha256(content) for one, content in files.items()}
    (lie / MANIFEST).write_text(json.dumps(hashes))
    return lie


def refuse(kind: str, folder: Path) -> str:
    with pytest.raises(ArtifactError) as caught:
        LOADERS[kind](folder)
    text = str(caught.value)
    assert text.isprintable()  # one line
    assert len(text) < 700 + len(str(folder))
    return text


def test_folders_that_do_not_lie_are_read(folders):
    for kind, load in LOADERS.items():
        load(folders[kind])


@pytest.mark.parametrize(("kind", "place", "value"), VALUES, ids=str)
def test_a_configuration_that_lies_is_refused(folders, tmp_path, kind, place, value):
    config = json.loads((folders[kind] / CONFIG).read_text())
    *above, last = place.split(".")
    inner = config
    for key in above:
        inner = inner[int(key) if key.isdecimal() else key]
    inner[last] = value
    refuse(kind, forge(folders[kind], tmp_path / "lie", CONFIG, json.dumps(config).encode()))


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_none_is_refused(folders, tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    refuse("actor", forge(folders["actor"], tmp_path / "lie", *FILES[what]))
    assert not Path("exploded").exists()


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_weights_that_are_not_finite_are_refused(tiny_model, tmp_path, value):
    with torch.no_grad():
        tiny_model.sigma_bar[0] = value  # 1e30 is infinite in half precision
    save_model(tiny_model, tmp_path / "lie")
    assert "tensor sigma_bar has values that are not finite" in refuse("model", tmp_path / "lie")


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64, torch.bool])
def test_weights_of_another_kind_of_number_are_refused(tiny_model, tmp_path, dtype):
    save_model(tiny_model, tmp_path / "model")
    tensors = safetensors.torch.load_file(tmp_path / "model" / WEIGHTS)
    tensors["sigma_bar"] = tensors["sigma_bar"].to(dtype)
    lie = forge(tmp_path / "model", tmp_path / "lie", WEIGHTS, safetensors.torch.save(tensors))
    assert f"tensor sigma_bar is of {str(dtype)[6:]}" in refuse("model", lie)


def test_a_rule_file_runs_by_consent_alone_and_its_name_is_the_specifications(folders, tmp_path):
    code = tmp_path / "evil.py"
    ran = tmp_path / "ran"
    code.write_text(
        f"import pathlib\npathlib.Path({str(ran)!r}).touch()\ndef f(melody):\n    return 1\n"
    )
    config = json.loads((folders["actor"] / CONFIG).read_text())
    config["rules"] = [
        {"name": "cmajor", "spec": f"not:{code}:f"},
        {"name": "b", "spec": "density:2"},
    ]
    lie = forge(folders["actor"], tmp_path / "lie", CONFIG, json.dumps(config).encode())

    def names_of(**options: Any) -> tuple[list[str], list[str]]:
        actor = load_actor(lie, **options)
        return actor.names, [rule.name for rule in actor.missing_rules]

    names = ["not:evil.py:f", "density:2"]
    assert names_of() == (names, names[:1])
    (why,) = [rule.why for rule in load_actor(lie).missing_rules]
    assert "is code that you have not consented to run; where you trust it, give --allow" in why
    assert len(load_actor(lie).generate(2)) == 2
    assert not ran.exists()
    assert names_of(allow_code=True) == (names, [])
    assert ran.exists()
    assert names_of() == (names, [])  # the consent is remembered,
    code.write_text(code.read_text() + "\n")
    assert names_of() == (names, names[:1])  # for the file as it was
    assert names_of(rules_from=[code]) == (names, [])
