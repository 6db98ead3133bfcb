"""A folder that is built beside its place and moved there whole; what is killed can be taken up.

========== ======================================================================================
``plan``   what is being made, as JSON; work is only taken up for the same plan
``lock``   held by the process that is at work; the system frees it when that process dies
``spool/`` results of the first stage
``store/`` the store itself, moved to its place when it is complete
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

from filelock import FileLock, Timeout

from melodyconstraints.datasets.melodies.store import read_summary
from melodyconstraints.errors import StoreError, UsageError
from melodyconstraints.storage.files import write_atomically

_PLAN, _LOCK = "plan", "lock"


@dataclass(frozen=True)
class Workshop:
    """Where a store is being made."""

    folder: Path

    @property
    def spool(self) -> Path:
        """Results of the first stage."""
        return self.folder / "spool"

    @property
    def store(self) -> Path:
        """The store itself."""
        return self.folder / "store"


@contextmanager
def unfinished(
    output: Path, plan: Mapping[str, Any], *, resume: bool, overwrite: bool
) -> Iterator[Workshop]:
    """Make a store that appears at ``output`` whole when the block ends, or not at all.

    When the block does not end, its work stays, and is taken up with ``resume``.

    Args:
        plan: what is being made, in JSON values.
        resume: take up what an earlier run of the same plan has left, if anything.
        overwrite: replace a store at ``output`` and forget what an earlier run has left.

    Raises:
        UsageError: ``output`` is taken, or an earlier run has left work of another plan, or work
            that was not meant to be taken up.
        StoreError: another process is at work, or the disk is full or cannot be written.
    """
    check_free(output, overwrite=overwrite)
    folder = _beside(output)
    workshop = Workshop(folder)
    try:
        _check_foreign(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            _prepare(workshop, plan, resume=resume, overwrite=overwrite)
            yield workshop
            read_summary(workshop.store)
            if output.exists():
                shutil.rmtree(folder / "replaced", ignore_errors=True)
                output.rename(folder / "replaced")
            workshop.store.rename(output)
            _empty(folder)
        shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        kept = f"; what was done is in {folder}, go on with --resume" if folder.exists() else ""
        raise StoreError(f"{error.filename or output}: {error.strerror or error}{kept}") from error


def clear_away(output: Path) -> None:
    """Remove what a run has left that was killed when its store was already at its place.

    Work on a store that is to replace this one, killed or going on, stays.
    """
    workshop = Workshop(_beside(output))
    if not workshop.folder.exists() or not _is_ours(workshop.folder):
        return
    with suppress(StoreError):
        with _locked(workshop.folder):
            if workshop.store.exists():
                return
            _empty(workshop.folder)
        shutil.rmtree(workshop.folder, ignore_errors=True)


def _beside(output: Path) -> Path:
    return output.with_name(output.name + ".unfinished")


def check_free(output: Path, *, overwrite: bool) -> None:
    """Make sure that nothing is lost that was not meant to be lost.

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
        raise UsageError(f"{output} already holds a melody store; pass --overwrite to replace it")


def _is_ours(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    return any((folder / name).exists() for name in (_LOCK, _PLAN)) or not any(folder.iterdir())


def _check_foreign(folder: Path) -> None:
    if folder.exists() and not _is_ours(folder):
        raise UsageError(f"{folder} is in the way and holds other files; move it away")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StoreError(f"another process is at work in {folder}") from error
    try:
        yield
    finally:
        lock.release()


def _prepare(
    workshop: Workshop, plan: Mapping[str, Any], *, resume: bool, overwrite: bool
) -> None:
    """Empty workshop or the earlier run's, with the plan on the wall."""
    folder = workshop.folder
    text = json.dumps(plan, indent=2, sort_keys=True)
    if not (folder / _PLAN).exists() or (overwrite and not resume):
        _empty(folder)
    else:
        if not resume:
            raise UsageError(
                f"{folder} holds an unfinished extraction; pass --resume to go on with it, or "
                "--overwrite to begin anew"
            )
        _check_plan(folder, json.loads((folder / _PLAN).read_text()), json.loads(text))
    workshop.spool.mkdir(exist_ok=True)
    shutil.rmtree(workshop.store, ignore_errors=True)
    workshop.store.mkdir()
    write_atomically(folder / _PLAN, text.encode())


def _check_plan(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    other = [key for key in wanted if found.get(key) != wanted[key]]
    if other:
        raise UsageError(
            f"{folder} was begun with other {', '.join(other)}; go on with the same, or pass "
            "--overwrite to begin anew"
        )


def _empty(folder: Path) -> None:
    """Remove everything but the lock."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()
