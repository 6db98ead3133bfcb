"""A store that is built in ``<output>.unfinished`` and moved to its place when it is complete.

========== ======================================================================================
``plan``   the extraction's inputs as JSON; a run is only resumed with the same inputs
``lock``   held by the process that is at work; the system frees it when that process dies
``spool/`` results of the first stage
``store/`` the store itself
========== ======================================================================================
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melodyconstraints.datasets.melodies.store import read_summary
from melodyconstraints.errors import StoreError, UsageError
from melodyconstraints.storage.files import LOCK, REPLACE, locked, write_atomically

_INPUTS = "plan"
_BEGIN_ANEW = "--overwrite to begin anew"


@dataclass(frozen=True)
class UnfinishedStore:
    """The folder in which a store is built."""

    folder: Path

    @property
    def spool(self) -> Path:
        """Folder of the results of the first stage."""
        return self.folder / "spool"

    @property
    def store(self) -> Path:
        """Folder of the store before it is moved to its place."""
        return self.folder / "store"


@contextmanager
def unfinished_store(
    output: Path, inputs: Mapping[str, Any], *, resume: bool, overwrite: bool
) -> Iterator[UnfinishedStore]:
    """Build a store that appears at ``output`` complete when the block ends, or not at all.

    If the block is left by an error or a kill, its results stay for a run with ``resume``.

    Args:
        inputs: everything that the store depends on, as JSON values.
        resume: use the results of an earlier run with the same inputs, if there are any.
        overwrite: replace a store at ``output`` and delete the results of an earlier run.

    Raises:
        UsageError: ``output`` is taken, or an earlier run has left results, and ``resume`` is
            false or its inputs were others.
        StoreError: another process is at work, or the disk is full or cannot be written.
    """
    check_free(output, overwrite=overwrite)
    unfinished = _unfinished_at(output)
    folder = unfinished.folder
    try:
        _refuse_other_files(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            _prepare(unfinished, inputs, resume=resume, overwrite=overwrite)
            yield unfinished
            read_summary(unfinished.store)  # refuses a store that is not complete
            if output.exists():
                shutil.rmtree(folder / "replaced", ignore_errors=True)
                output.rename(folder / "replaced")
            unfinished.store.rename(output)
            _remove_all_but_lock(folder)
        shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        advice = f"; what was done is in {folder}, go on with --resume" if folder.exists() else ""
        what = f"{error.filename or output}: {error.strerror or error}"
        raise StoreError(f"{what}{advice}") from error


def remove_leftovers(output: Path) -> None:
    """Remove what a run left that was killed after its store had been moved to its place.

    An unfinished store that is to replace this one stays, whether its run was killed or goes on.
    """
    unfinished = _unfinished_at(output)
    folder = unfinished.folder
    if not folder.exists() or not _is_ours(folder):
        return
    with suppress(StoreError):
        with locked(folder):
            if unfinished.store.exists():
                return
            _remove_all_but_lock(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _unfinished_at(output: Path) -> UnfinishedStore:
    return UnfinishedStore(output.with_name(output.name + ".unfinished"))


def check_free(output: Path, *, overwrite: bool) -> None:
    """Refuse to write a store over other files, or over a store without ``overwrite``.

    Raises:
        UsageError: ``output`` holds something else, or a store and ``overwrite`` is false.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    try:
        read_summary(output)
    except StoreError as error:
        message = f"{output} exists and is not a melody store; choose another folder"
        raise UsageError(message) from error
    if not overwrite:
        raise UsageError(f"{output} already holds a melody store; {REPLACE}")


def _is_ours(folder: Path) -> bool:
    """Whether a folder is empty or was made by :func:`unfinished_store`."""
    if not folder.is_dir():
        return False
    return any((folder / name).exists() for name in (LOCK, _INPUTS)) or not any(folder.iterdir())


def _refuse_other_files(folder: Path) -> None:
    if folder.exists() and not _is_ours(folder):
        raise UsageError(f"{folder} is in the way and holds other files; move it away")


def _prepare(
    unfinished: UnfinishedStore, inputs: Mapping[str, Any], *, resume: bool, overwrite: bool
) -> None:
    """Make the folders, and write down the inputs; keep an earlier run's spool if resumed."""
    folder = unfinished.folder
    text = json.dumps(inputs, indent=2, sort_keys=True)
    if not (folder / _INPUTS).exists() or (overwrite and not resume):
        _remove_all_but_lock(folder)
    else:
        if not resume:
            raise UsageError(
                f"{folder} holds an unfinished extraction; pass --resume to go on with it, "
                f"or {_BEGIN_ANEW}"
            )
        _check_inputs(folder, _earlier_inputs(folder), json.loads(text))
    unfinished.spool.mkdir(exist_ok=True)
    shutil.rmtree(unfinished.store, ignore_errors=True)
    unfinished.store.mkdir()
    write_atomically(folder / _INPUTS, text.encode())


def _earlier_inputs(folder: Path) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        earlier = json.loads((folder / _INPUTS).read_text(encoding="utf-8"))
        if isinstance(earlier, dict):
            return earlier
    raise StoreError(f"{folder / _INPUTS} is damaged; pass {_BEGIN_ANEW}")


def _check_inputs(folder: Path, earlier: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
    other = [key for key in inputs if earlier.get(key) != inputs[key]]
    if other:
        raise UsageError(
            f"{folder} was begun with other {', '.join(other)}; go on with the same, or "
            f"pass {_BEGIN_ANEW}"
        )


def _remove_all_but_lock(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()
