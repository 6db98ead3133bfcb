"""Models and actors on the Hugging Face Hub: ``hf://owner/name[@revision][/folder]``.

A name stands wherever a folder can. Of the repository only the files of an artifact are
downloaded, into the Hub's own cache, and then checked like any other folder
(:mod:`melodyconstraints.storage.artifacts`). The package ``huggingface-hub`` is the extra ``hub``.

References:
    https://huggingface.co/docs/huggingface_hub/guides/download
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from melodyconstraints.errors import ArtifactError, UsageError
from melodyconstraints.storage.artifacts import (
    CARD,
    CONFIG,
    MANIFEST,
    WEIGHTS,
    Artifact,
    load_artifact,
    save_artifact,
)
from melodyconstraints.storage.cards import with_header
from melodyconstraints.storage.extras import extras_explained
from melodyconstraints.storage.text import printable, shortened

FOLDERS = ("", "bank", "knobs")
"""Folders that hold an artifact, relative to a repository's own."""
_FILES = (CONFIG, WEIGHTS, CARD, MANIFEST)
_HTTP_LIBRARIES = ("httpx", "httpx2")
"""Packages by which one version of ``huggingface-hub`` or another reaches the Hub."""
# A path makes one slash of two.
_NAME = re.compile(
    r"hf:/{1,2}(?P<repository>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>\w[\w.-]*))?(/(?P<inside>\w[\w-]*))?"
)


class _Parts(NamedTuple):
    repository: str
    revision: str | None
    inside: str | None


def on_disk(folder: Path | str) -> Path:
    """A folder of this machine as it is; of a name on the Hub, the folder of its download.

    Raises:
        ArtifactError: it cannot be downloaded.
        UsageError: ``huggingface-hub`` is not installed, or the name is none.
    """
    parts = _parts(folder)
    return _downloaded(*parts) if parts else Path(folder)


def full_name(folder: Path | str) -> str:
    """A name on the Hub as it is written, or the absolute path of a folder."""
    name = _as_name(folder)
    return f"hf://{name}" if name else str(Path(folder).resolve())


def push(folder: Path, name: str, *, private: bool = False, model: str | None = None) -> str:
    """Upload a model or an actor, by the account that ``hf auth login`` has logged in.

    Files that belong to no artifact stay here: curves, checkpoints, ``training/``.

    Args:
        name: ``hf://owner/name`` or ``hf://owner/name/folder``; the repository is made.
        private: whether a repository that is made is private.
        model: name on the Hub of an actor's model, written in place of the folder that it names.

    Returns:
        The address of the commit.

    Raises:
        ArtifactError: the folder is damaged, or the Hub refuses it.
        UsageError: the name is none, or of an actor's model others have no copy.
    """
    parts = _parts(name)
    if parts is None or parts.revision:
        raise UsageError(f"push to hf://owner/name or hf://owner/name/folder, got {name!r}")
    with extras_explained():
        from huggingface_hub import HfApi
    with TemporaryDirectory() as staged:
        for inside in FOLDERS:
            if inside == "" or (folder / inside / MANIFEST).is_file():
                _stage(folder / inside, Path(staged) / inside, model)
        with _in_one_line(name):
            hub = HfApi(library_name="melodyconstraints")
            hub.create_repo(parts.repository, private=private or None, exist_ok=True)
            commit = hub.upload_folder(
                repo_id=parts.repository,
                folder_path=staged,
                path_in_repo=parts.inside or None,
                commit_message="Upload by mc push",
            )
    return str(commit.commit_url)


def _stage(folder: Path, staged: Path, model: str | None) -> None:
    """Copy an artifact that matches its manifest, with a header on its card and its model named.

    Raises:
        ArtifactError: the folder is damaged.
        UsageError: it names a model that is on this machine only, and ``model`` is None.
    """
    try:
        kind = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{folder} is not a finished model or actor folder") from error
    artifact: Artifact[dict[str, Any]] = load_artifact(folder, kind)
    card = (folder / CARD).read_text(encoding="utf-8") if (folder / CARD).is_file() else ""
    reference: Any = artifact.config.get("model")
    named = reference.get("folder") if isinstance(reference, dict) else None
    if named and model:
        config = artifact.config | {"model": {**reference, "folder": full_name(model)}}
        card = card.removeprefix(with_header("", kind, artifact.config))
        save_artifact(staged, kind, config, artifact.tensors(), card)
        return
    if named and not _as_name(named) and Path(named).is_absolute():
        raise UsageError(
            f"{folder} names the model {named}, which is on this machine only; push that first, "
            "then this one with --model hf://owner/name"
        )
    staged.mkdir(parents=True, exist_ok=True)
    for file in (CONFIG, WEIGHTS, MANIFEST):
        shutil.copyfile(folder / file, staged / file)
    (staged / CARD).write_text(with_header(card, kind, artifact.config), encoding="utf-8")


@cache
def _downloaded(repository: str, revision: str | None, inside: str | None) -> Path:
    with extras_explained():
        from huggingface_hub import snapshot_download
    own = Path(inside or "")
    patterns = [(own / folder / file).as_posix() for folder in FOLDERS for file in _FILES]
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    with _in_one_line(f"hf://{repository}"):
        place = snapshot_download(repository, revision=revision, allow_patterns=patterns)
    return Path(place) / own


def _as_name(folder: Path | str) -> str | None:
    """``owner/name[@revision][/folder]`` of a name on the Hub; None for a folder."""
    text = Path(folder).as_posix()
    return text.removeprefix("hf:").lstrip("/") if text.startswith("hf:/") else None


def _parts(folder: Path | str) -> _Parts | None:
    """Repository, revision and folder inside of a name on the Hub; None for a folder.

    >>> _parts("hf://ada/tunes@v2/jazz")
    _Parts(repository='ada/tunes', revision='v2', inside='jazz')
    """
    name = _as_name(folder)
    if name is None:
        return None
    match = _NAME.fullmatch(f"hf://{name}")
    if match is None:
        raise UsageError(
            f"hf://{name} is no name on the Hub; write hf://owner/name[@revision][/folder]"
        )
    return _Parts(**match.groupdict())


@contextmanager
def _in_one_line(name: str) -> Iterator[None]:
    """Turn the Hub's errors, and those of the network, into one line each."""
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        yield
    except RepositoryNotFoundError as error:
        raise ArtifactError(
            f"{name} is not on the Hub, or your account may not read it; check its name, "
            "or run: hf auth login"
        ) from error
    except LocalEntryNotFoundError as error:
        raise ArtifactError(
            f"{name} is not in the Hub's cache, and the Hub cannot be reached; go online once"
        ) from error
    except Exception as error:
        of_network = type(error).__module__.split(".")[0] in _HTTP_LIBRARIES
        if not (of_network or isinstance(error, OSError | ValueError)):
            raise
        why = shortened(printable(str(error).strip().split("\n")[0]), 200)
        what = f"{name}: {why or type(error).__name__}"
        what += "; the Hub cannot be reached: try again when online" if of_network else ""
        raise ArtifactError(what) from error
