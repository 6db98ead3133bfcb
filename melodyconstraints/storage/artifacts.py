"""Artifacts: folders of weights on disk, for models and actors alike.

===================== ======================================================================
``config.json``       kind of the artifact, and all that is needed to rebuild it
``model.safetensors`` the tensors; never a pickle
``README.md``         model card: data, settings, measured quality
``manifest.json``     SHA-256 of both; written last, marks a complete folder
===================== ======================================================================

The card is the user's to edit. A folder may come from anybody: nothing is built from its
configuration before that has the types and ranges of its schema, a dataclass, and the shapes of
the networks that it describes are those in the header of the weights.

The fingerprint of an artifact is the SHA-256 of its configuration and weights: an actor's
configuration holds the fingerprint of the model that it was trained on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import Any, Generic, TypeVar

import pydantic_core
import safetensors
import safetensors.torch
import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from melodyconstraints.errors import ArtifactError, UsageError
from melodyconstraints.storage.cards import with_header
from melodyconstraints.storage.files import (
    LOCK,
    REPLACE,
    check_room,
    check_writable,
    locked,
    write_atomically,
)
from melodyconstraints.storage.text import printable, shortened

Config = TypeVar("Config")
Module = TypeVar("Module", bound=nn.Module)

FORMAT = "melodyconstraints-1"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
MANIFEST = "manifest.json"


_LARGEST_JSON = 1 << 24
"""Bytes of the largest configuration that is read."""
_BESIDE_WEIGHTS = 1 << 20
"""Bytes of a folder beside its weights, at most: records, card and picture of a training."""
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Artifact(Generic[Config]):
    """A folder that matched its manifest, and whose configuration its schema.

    Attributes:
        config: its configuration, without the format and the kind.
        fingerprint: SHA-256 of configuration and weights, in hexadecimal.
        remedy: advice to the user about a folder of another version, for errors.
    """

    folder: Path
    config: Config
    fingerprint: str
    remedy: str = ""

    def tensors(self) -> dict[str, Tensor]:
        """The weights by name.

        Raises:
            ArtifactError: they are not of the format, or not all finite.
        """
        try:
            tensors = safetensors.torch.load((self.folder / WEIGHTS).read_bytes())
        except Exception as error:  # safetensors raises errors of several kinds
            raise ArtifactError(f"{self.folder} is damaged: {WEIGHTS}: {_line(error)}") from error
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not torch.isfinite(tensor.float()).all():
                raise self.misfit(f"tensor {name} has values that are not finite")
        return tensors

    def fill(self, build: Callable[[], Module]) -> Module:
        """A module with the artifact's weights, in its own precision, ready for use.

        Args:
            build: function that makes the module; called where tensors have shapes and take no
                memory. Tensors that its ``added_tensors`` names are zeros where they are missing:
                artifacts made before have none of them.

        Raises:
            ArtifactError: the weights are those of another module, or not finite.
        """
        with torch.device("meta"), _NoInitialValues():
            module = build()
        own, stored = module.state_dict(), self._shapes()
        wanted = {name: tuple(own[name].shape) for name in own.keys() - _missing(module, stored)}
        for name in sorted(wanted.keys() | stored.keys()):
            if wanted.get(name) != stored.get(name):
                raise self.misfit(
                    f"tensor {name} has shape {stored.get(name)}, "
                    f"its configuration says {wanted.get(name)}"
                )
        tensors = self.tensors()
        for name, tensor in tensors.items():
            if not torch.can_cast(tensor.dtype, own[name].dtype) or (
                tensor.is_floating_point() != own[name].is_floating_point()
            ):
                raise self.misfit(f"tensor {name} is of {str(tensor.dtype)[6:]}")
        state = {name: tensor.to(own[name].dtype, copy=True) for name, tensor in tensors.items()}
        module.load_state_dict(with_added_tensors(module, state), assign=True)
        return module.eval()

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the tensors, read from the header of their file."""
        try:
            with safetensors.safe_open(self.folder / WEIGHTS, "pt") as file:
                names = file.keys()
                return {name: tuple(file.get_slice(name).get_shape()) for name in names}
        except Exception as error:  # safetensors raises errors of several kinds
            raise ArtifactError(f"{self.folder} is damaged: {WEIGHTS}: {_line(error)}") from error

    def misfit(self, why: str) -> ArtifactError:
        """The error of contents that are whole, but not what this version makes sense of."""
        return _misfit(self.folder, why, self.remedy)


class _NoInitialValues(TorchFunctionMode):
    """Leaves tensors as they are where ``torch.nn.init`` would fill them.

    Of tensors without memory, torch does that in Python, for which it loads its compiler.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def save_artifact(
    folder: Path, kind: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor], card: str
) -> str:
    """Write an artifact; after a kill at any moment, the folder does not load as a mixture.

    Args:
        kind: kind of the artifact, such as ``melody-vae`` or ``actor``.
        config: configuration, JSON values.
        tensors: weights by name.
        card: text of the model card, in Markdown; gets the header of :func:`.cards.with_header`.

    Returns:
        The fingerprint.

    Raises:
        UsageError: the configuration holds something that JSON does not know.
    """
    whole = {"format": FORMAT, "kind": kind, **config}
    try:
        text = json.dumps(whole, indent=2)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{folder} can hold plain JSON values only: {error}") from error
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    contents = {
        CONFIG: (text + "\n").encode(),
        WEIGHTS: safetensors.torch.save({k: v.contiguous() for k, v in tensors.items()}),
        CARD: with_header(card, kind, config).encode(),
    }
    for name, data in contents.items():
        write_atomically(folder / name, data)
    hashes = {name: _sha256(contents[name]) for name in (CONFIG, WEIGHTS)}
    write_atomically(folder / MANIFEST, (json.dumps(hashes, indent=2) + "\n").encode())
    return _fingerprint(hashes)


def load_artifact(
    folder: Path,
    kind: str,
    schema: type[Config] = dict[str, Any],  # type: ignore[assignment]
    remedy: str = "",
) -> Artifact[Config]:
    """Read an artifact's configuration, and check both files against the manifest.

    Args:
        schema: a dataclass that the configuration must fit, with the ranges of
            :mod:`melodyconstraints.storage.schema`.
        remedy: advice to the user about a folder of another version, for errors.

    Raises:
        ArtifactError: the folder is missing, unfinished, damaged, or of another kind, format or
            version.
    """
    hashes = _read_json(folder, MANIFEST, kind)
    if not {CONFIG, WEIGHTS} <= hashes.keys():  # melodies have a manifest of their own
        why = f"{MANIFEST} does not name {CONFIG} and {WEIGHTS}"
        raise ArtifactError(f"{folder} is not a finished {kind} folder: {why}")
    for name in (CONFIG, WEIGHTS):
        try:
            with _open(folder / name) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ArtifactError(f"{folder} is damaged: {name} cannot be read") from error
        if digest != hashes.get(name):
            raise ArtifactError(
                f"{folder} is damaged: {name} does not match {MANIFEST}; make or copy it again"
            )
    values = _read_json(folder, CONFIG, kind)
    stated = [printable(str(values.pop(key, None))) for key in ("format", "kind")]
    if stated != [FORMAT, kind]:
        raise ArtifactError(
            f"{folder} is of kind {shortened(stated[1])}, format {shortened(stated[0])}; "
            f"kind {kind}, format {FORMAT} is wanted"
        )
    try:
        config = from_json(schema, values)
    except ValidationError as error:
        raise _misfit(folder, _first(error), remedy) from error
    return Artifact(folder, config, _fingerprint(hashes), remedy)


def with_added_tensors(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a module, with zeros for those that its ``added_tensors`` names, if missing."""
    own = module.state_dict()
    return {**state} | {
        name: torch.zeros_like(own[name], device="cpu") for name in _missing(module, state)
    }


def _missing(module: nn.Module, names: Container[str]) -> set[str]:
    return {name for name in getattr(module, "added_tensors", ()) if name not in names}


def halved(module: nn.Module) -> dict[str, Tensor]:
    """A module's tensors in half precision."""
    return {name: tensor.half() for name, tensor in module.state_dict().items()}


def artifact_size(build: Callable[[], nn.Module], *, half: bool) -> int:
    """Bytes that the folder of a module takes, at most.

    Args:
        build: makes the module; called where tensors have shapes and take no memory.
        half: whether it is saved in half precision.
    """
    with torch.device("meta"), _NoInitialValues():
        numbers = sum(tensor.numel() for tensor in build().state_dict().values())
    return _BESIDE_WEIGHTS + numbers * (2 if half else 4)


def from_json(schema: type[Config], values: Mapping[str, Any]) -> Config:
    """JSON values as a dataclass, checked against its types and ranges.

    Raises:
        ValidationError: they do not fit.
    """
    # As JSON again, where lists are tuples; in a list, see _adapter.
    text = pydantic_core.to_json([values], inf_nan_mode="constants")
    (value,) = _adapter(schema).validate_json(text, strict=True)  # type: ignore[arg-type]
    return value


@cache
def _adapter(schema: type[Any]) -> TypeAdapter[Any]:
    """Reader of a dataclass in a list, since pydantic takes no settings for one alone."""
    return TypeAdapter(tuple[schema], config=_STRICT)  # type: ignore[valid-type]


def _first(error: ValidationError) -> str:
    """First error of a validation, and its place."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"][1:])) or "configuration"
    got = "" if isinstance(first["input"], dict | list) else f", got {first['input']!r}"
    why = first["msg"].removeprefix("Value error, ")
    return f"{shortened(printable(place))}: {shortened(printable(why), 200)}{shortened(got)}"


def _misfit(folder: Path, why: str, remedy: str) -> ArtifactError:
    return ArtifactError(f"{folder} does not fit this version: {why}{remedy and '; '}{remedy}")


def _line(error: Exception) -> str:
    return shortened(printable(str(error)), 200)


def check_free(folder: Path, kind: str, *, overwrite: bool, remedy: str = REPLACE) -> None:
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
    if not folder.exists() or (
        folder.is_dir() and all(path.name == LOCK for path in folder.iterdir())
    ):
        return
    try:
        earlier_kind = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("kind")
    except (OSError, ValueError, AttributeError):
        earlier_kind = None
    if earlier_kind != kind:
        raise UsageError(f"{folder} holds other files; choose an empty or new folder")
    if not overwrite:
        raise UsageError(f"{folder} already holds the {kind} of an earlier run; {remedy}")


@contextmanager
def claimed(folder: Path, kind: str, *, overwrite: bool, size: int) -> Iterator[None]:
    """Hold a folder for an artifact that is written at the end of long work.

    Before it: :func:`check_free`, and that ``size`` bytes fit on the disk. Where nothing was
    written, the folders that were made for it are removed.

    Raises:
        UsageError: the folder is not free, or its disk too full.
        StoreError: another process holds it.
    """
    check_free(folder, kind, overwrite=overwrite)
    check_room(folder, size)
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder):
            try:
                yield
            finally:
                (folder / LOCK).unlink()
    finally:
        with suppress(OSError):  # not empty
            for place in missing:
                place.rmdir()


def _open(path: Path) -> BufferedReader:
    """Open a file, but no device and no pipe, which have no end."""
    if not path.is_file():
        raise OSError(f"{path} is no file")
    return path.open("rb")


def _read_json(folder: Path, name: str, kind: str) -> dict[str, Any]:
    path = folder / name
    try:
        with _open(path) as file:
            text = file.read(_LARGEST_JSON + 1)
        if len(text) > _LARGEST_JSON:
            raise ArtifactError(f"{path} is damaged: it has more than {_LARGEST_JSON:,} bytes")
        value = pydantic_core.from_json(text)
    except OSError as error:
        why = f"{name} cannot be read" + ("" if folder.exists() else "; there is no such folder")
        raise ArtifactError(f"{folder} is not a finished {kind} folder: {why}") from error
    except ValueError as error:
        raise ArtifactError(f"{path} is damaged: {_line(error)}") from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{path} is damaged: it holds no JSON object")
    return value


def _fingerprint(hashes: Mapping[str, Any]) -> str:
    return _sha256("".join(hashes[name] for name in (CONFIG, WEIGHTS)).encode())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
