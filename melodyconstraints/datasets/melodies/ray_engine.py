"""Extraction on all machines of a Ray cluster.

Each processor of the cluster gets a share of the files and reads them in a process of its own
that may die at a file, as on one machine. The results stream back to the machine that started the
extraction, whose spool, ledger and store are the same to the byte as without Ray. Ray Data finds
the duplicate melodies.

All machines must see the files: an object store's folder (``s3://bucket/midi``) or a shared disk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from melodyconstraints.datasets.melodies.hashing import Hashes
from melodyconstraints.datasets.melodies.spool import binary_column
from melodyconstraints.datasets.melodies.workers import Handle, Limits, Result, Task, supervise
from melodyconstraints.errors import WorkerError
from melodyconstraints.storage.extras import extras_explained

_RESULTS_AHEAD = 8
"""Unread results of a processor before it waits: bounds the cluster's memory."""
_KEYS_PER_PARTITION = 1_000_000
"""Keys that are grouped together: some tens of megabytes, so that a partition fits any machine."""


@dataclass(frozen=True)
class RayEngine:
    """Extraction on the Ray cluster that ``RAY_ADDRESS`` names, or else on this machine alone.

    Args:
        jobs: number of threads of this machine that write the parts.

    Raises:
        UsageError: Ray is not installed.
    """

    jobs: int = 1

    def __post_init__(self) -> None:
        with extras_explained():
            import ray
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")

    def run(
        self,
        handle: Handle[Task, Result],
        tasks: Iterable[Task],
        limits: Limits,
        prepare: Callable[[], object] | None,
    ) -> Generator[Result, None, None]:
        """See :class:`~melodyconstraints.datasets.melodies.extract_store.Engine`.

        Raises:
            WorkerError: a machine or a process of the cluster was lost.
        """
        import ray

        # Task n goes to processor n modulo their number, and its result comes back from there.
        all_tasks = list(tasks)
        processors = max(min(int(ray.cluster_resources().get("CPU", 1)), len(all_tasks)), 1)
        shares = [all_tasks[number::processors] for number in range(processors)]
        run_share = ray.remote(num_returns="streaming", max_retries=0)(_run_share).options(
            _generator_backpressure_num_objects=_RESULTS_AHEAD
        )
        streams = [run_share.remote(handle, share, limits, prepare) for share in shares]
        for number in range(len(all_tasks)):
            try:
                yield ray.get(next(streams[number % processors]))
            except ray.exceptions.RayTaskError:  # raised by the handle, not by Ray
                raise
            except ray.exceptions.RayError as error:
                message = (
                    f"a machine or process of the cluster was lost, go on with --resume: {error}"
                )
                raise WorkerError(message) from error

    def first_seen(self, keys: Iterable[Hashes]) -> Iterator[NDArray[np.bool_]]:
        """See :class:`~melodyconstraints.datasets.melodies.extract_store.Engine`."""
        import ray

        # Number the keys of all batches in one sequence: a key's first number is where it is new.
        tables, ends = [], [0]
        for batch in keys:
            tables.append(ray.put(_number_keys(batch, ends[-1])))
            ends.append(ends[-1] + len(batch))
        is_new = np.zeros(ends[-1], bool)
        for numbers in _first_numbers(tables, ends[-1]):
            is_new[numbers] = True
        return (is_new[first:end] for first, end in pairwise(ends))


def _number_keys(keys: Hashes, first: int) -> pa.Table:
    """Table of keys and the numbers of their melodies, counted from ``first``."""
    numbers = np.arange(first, first + len(keys))
    # If every melody counts as new (keys without columns), its number is its key.
    column = keys if keys.shape[1] else numbers[:, None]
    return pa.table({"key": binary_column(column.view(np.uint8)), "number": numbers})


def _first_numbers(tables: Sequence[Any], count: int) -> Iterator[NDArray[np.int64]]:
    """Yield, in batches, for each key the lowest number of a melody with this key."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    partitions = 1 + count // _KEYS_PER_PARTITION
    keys = ray.data.from_arrow_refs(tables)
    firsts = keys.groupby("key", num_partitions=partitions).min("number")
    for batch in firsts.iter_batches(batch_format="numpy"):
        yield batch["min(number)"]


def _run_share(
    handle: Handle[Task, Result],
    share: Sequence[Task],
    limits: Limits,
    prepare: Callable[[], object] | None,
) -> Iterator[Result]:
    """Run a share of the tasks on a processor of the cluster."""
    yield from supervise(handle, share, jobs=1, limits=limits, prepare=prepare)
