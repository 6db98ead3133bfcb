"""Extraction on all machines of a Ray cluster.

Each processor of the cluster gets a share of the files and works through it in a process of its
own that may die at a file, as on one machine; the results stream back to the machine that asked,
whose spool, ledger and store are the same to the byte as without Ray. Ray Data finds the melodies
that were seen before.

All machines must see the files: an object store's folder (``s3://bucket/midi``) or a shared disk.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from melodyconstraints.datasets.melodies.hashing import Hashes
from melodyconstraints.datasets.melodies.spool import binary_column
from melodyconstraints.datasets.melodies.workers import Handle, Limits, Result, Task, supervise
from melodyconstraints.errors import UsageError, WorkerError

_AHEAD = 8
"""Results that a processor may have in store before it waits for the one who asked."""
_KEYS_PER_PARTITION = 1_000_000


@dataclass(frozen=True)
class RayEngine:
    """The machines of the cluster that ``RAY_ADDRESS`` names, or else of this machine.

    Args:
        jobs: threads of this machine for what is done here: writing the parts.

    Raises:
        UsageError: Ray is not installed.
    """

    jobs: int = 1

    def __post_init__(self) -> None:
        try:
            import ray
        except ImportError as error:
            raise UsageError("Ray is missing; pip install 'melodyconstraints[ray]'") from error
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")

    def run(
        self, handle: Handle[Task, Result], tasks: Iterable[Task], limits: Limits
    ) -> Generator[Result, None, None]:
        """See :class:`~melodyconstraints.datasets.melodies.extract_store.Engine`.

        Raises:
            WorkerError: a machine or a process of the cluster was lost.
        """
        import ray

        everything = list(tasks)
        processors = max(min(int(ray.cluster_resources().get("CPU", 1)), len(everything)), 1)
        shares = [everything[number::processors] for number in range(processors)]
        do_share = ray.remote(num_returns="streaming", max_retries=0)(_do_share).options(
            _generator_backpressure_num_objects=_AHEAD
        )
        streams = [do_share.remote(handle, share, limits) for share in shares]
        for number in range(len(everything)):
            try:
                yield ray.get(next(streams[number % processors]))
            except ray.exceptions.RayTaskError:  # what the work itself raised
                raise
            except ray.exceptions.RayError as error:
                message = (
                    f"a machine or process of the cluster was lost, go on with --resume: {error}"
                )
                raise WorkerError(message) from error

    def first_seen(self, keys: Iterable[Hashes]) -> Iterator[NDArray[np.bool_]]:
        """See :class:`~melodyconstraints.datasets.melodies.extract_store.Engine`."""
        import ray

        tables, ends = [], [0]
        for batch in keys:
            tables.append(ray.put(_numbered(batch, ends[-1])))
            ends.append(ends[-1] + len(batch))
        fresh = np.zeros(ends[-1], bool)
        for places in _first_places(tables, ends[-1]):
            fresh[places] = True
        return (fresh[first:end] for first, end in pairwise(ends))


def _numbered(keys: Hashes, first: int) -> pa.Table:
    """Keys and the places of their melodies among all."""
    places = np.arange(first, first + len(keys))
    # Where every melody is its own, its place is its key.
    column = keys if keys.shape[1] else places[:, None]
    return pa.table({"key": binary_column(column.view(np.uint8)), "place": places})


def _first_places(tables: Sequence[Any], count: int) -> Iterator[NDArray[np.int64]]:
    """For each key the first of its places."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    partitions = 1 + count // _KEYS_PER_PARTITION
    keys = ray.data.from_arrow_refs(tables)
    firsts = keys.groupby("key", num_partitions=partitions).min("place")
    for batch in firsts.iter_batches(batch_format="numpy"):
        yield batch["min(place)"]


def _do_share(
    handle: Handle[Task, Result], share: Sequence[Task], limits: Limits
) -> Iterator[Result]:
    """Runs on a processor of the cluster."""
    yield from supervise(handle, share, jobs=1, limits=limits)
