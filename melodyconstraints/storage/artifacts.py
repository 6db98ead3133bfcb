"""Artifacts: folders of weights on disk, for models and actors alike.

===================== ======================================================================
``config.json``       kind of the artifact, and all that is needed to rebuild it
``model.safetensors`` the tensors; never a pickle
``README.md``         model card: data, settings, measured quality
``manifest.json``     SHA-256 of each file; written last, marks a complete folder
===================== ======================================================================

The fingerprint of an artifact is the SHA-256 of its configuration and weights: an actor's
configuration holds the fingerprint of the model that it was trained on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from melodyconstraints.errors import ArtifactError, UsageError
from melodyconstraints.storage.files import check_writable, write_atomically

FORMAT = "melodyconstraints-1"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Artifact:
    """The content of an artifact's folder that matched its manifest.

    Attributes:
        config: JSON values, without the format and the kind.
        tensors: weights by name.
        fingerprint: SHA-256 of configuration and weights, in hexadecimal.
    """

    config: dict[str, Any]
    tensors: dict[str, Tensor]
    fingerprint: str


def save_artifact(
    folder: Path, kind: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor], card: str
) -> str:
    """Write an artifact; after a kill at any moment, the folder does not load as a mixture.

    Args:
        kind: what the artifact is, such as ``melody-vae`` or ``actor``.
        config: JSON values.
        tensors: weights by name.
        card: text of the model card, in Markdown.

    Returns:
        The fingerprint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    whole = {"format": FORMAT, "kind": kind, **config}
    contents = {
        CONFIG: (json.dumps(whole, indent=2) + "\n").encode(),
        WEIGHTS: safetensors.torch.save({k: v.contiguous() for k, v in tensors.items()}),
        CARD: card.encode(),
    }
    for name, data in contents.items():
        write_atomically(folder / name, data)
    hashes = {name: _sha256(data) for name, data in contents.items()}
    write_atomically(folder / MANIFEST, (json.dumps(hashes, indent=2) + "\n").encode())
    return _fingerprint(hashes)


def load_artifact(folder: Path, kind: str) -> Artifact:
    """Read an artifact and check it against its manifest.

    Raises:
        ArtifactError: the folder is missing, unfinished, damaged, or of another kind or format.
    """
    hashes = _read_json(folder, MANIFEST, kind)
    data = {}
    for name in (CONFIG, WEIGHTS):
        try:
            data[name] = (folder / name).read_bytes()
        except OSError as error:
            raise ArtifactError(f"{folder} is damaged: {name} cannot be read") from error
        if _sha256(data[name]) != hashes.get(name):
            raise ArtifactError(
                f"{folder} is damaged: {name} does not match {MANIFEST}; make or copy it again"
            )
    config = _read_json(folder, CONFIG, kind)
    found = (config.pop("format", None), config.pop("kind", None))
    if found != (FORMAT, kind):
        raise ArtifactError(
            f"{folder} is of kind {found[1]}, format {found[0]}; "
            f"kind {kind}, format {FORMAT} is wanted"
        )
    tensors = safetensors.torch.load(data[WEIGHTS])
    return Artifact(config, tensors, _fingerprint(hashes))


@contextmanager
def fits_this_version(folder: Path, remedy: str = "") -> Iterator[None]:
    """What goes wrong inside, with a folder's contents, is an error of that folder.

    Args:
        remedy: added to the error, such as ``; train it again``.

    Raises:
        ArtifactError: the contents are whole, but not what this version makes sense of.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError, AttributeError) as error:
        raise ArtifactError(f"{folder} does not fit this version: {error}{remedy}") from error


def check_free(folder: Path, kind: str, *, overwrite: bool, remedy: str) -> None:
    """Refuse to write an artifact over other files, or over its kind without ``overwrite``.

    A folder that cannot be written to is refused as well.

    Args:
        kind: kind of the artifact to write.
        remedy: advice to the user about an earlier run's results, for the error.

    Raises:
        UsageError: ``folder`` holds other files, or the same kind and ``overwrite`` is false; or
            it cannot be written to.
    """
    check_writable(folder)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("kind")
    except (OSError, ValueError, AttributeError):
        found = None
    if found != kind:
        raise UsageError(f"{folder} holds other files; choose an empty or new folder")
    if not overwrite:
        raise UsageError(f"{folder} already holds the {kind} of an earlier run; {remedy}")


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Format a Markdown table, line by line.

    >>> print(*markdown_table(["a", "b"], [["1", "2"]]), sep=chr(10))
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _read_json(folder: Path, name: str, kind: str) -> dict[str, Any]:
    try:
        value = json.loads((folder / name).read_text(encoding="utf-8"))
    except OSError as error:
        raise ArtifactError(
            f"{folder} is not a finished {kind} folder: {name} cannot be read"
        ) from error
    except ValueError as error:
        raise ArtifactError(f"{folder / name} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{folder / name} is damaged: it holds no JSON object")
    return value


def _fingerprint(hashes: Mapping[str, str]) -> str:
    return _sha256("".join(hashes[name] for name in (CONFIG, WEIGHTS)).encode())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
