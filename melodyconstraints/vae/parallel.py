"""Rows computed side by side, each part of them on one thread.

OpenMP's threads share every single product and wait for each other at its end. Where a network is
a chain of thousands of small products, that gains little on an idle machine; on a busy one a
thread that is put aside makes the others wait at each of them. Parts of the rows wait but once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier

import torch
from torch import Tensor

from melodyconstraints.storage.machine import processors


def compute_rows(
    compute: Callable[..., Tensor], *rows: Tensor, multiple: int, most: int
) -> Tensor:
    """``compute(*rows)``, where rows do not depend on each other; without gradients.

    Args:
        rows: tensors of as many rows, at least one; on one device.
        multiple: number of which the rows of every part but the last are a multiple.
        most: most rows of a part.
    """
    if rows[0].device.type != "cpu":
        return compute(*rows)
    share = -(-len(rows[0]) // (multiple * processors())) * multiple
    parts = zip(*(tensor.split(min(share, most)) for tensor in rows), strict=True)
    tasks = [_workers().submit(torch.inference_mode()(compute), *part) for part in parts]
    try:
        return torch.cat([task.result() for task in tasks])
    finally:  # after an error or Ctrl-C, parts that wait are not computed
        for task in tasks:
            task.cancel()


@cache
def _workers() -> ThreadPoolExecutor:
    """A pool whose threads have all begun, each with one thread of torch."""
    callers, count = torch.get_num_threads(), processors()
    pool, together = ThreadPoolExecutor(count, "rows"), Barrier(count)

    def begin() -> None:
        torch.get_num_threads()  # else torch sets, when it first counts them, what others set
        torch.set_num_threads(1)
        together.wait()

    try:
        for task in [pool.submit(begin) for _ in range(count)]:
            task.result()
    finally:
        together.abort()  # where Ctrl-C came, or no thread could be had, none waits for others
        torch.set_num_threads(callers)  # torch gives the number set last to others' threads, too
    return pool


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_workers.cache_clear)
