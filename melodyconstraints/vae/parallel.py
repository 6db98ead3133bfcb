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

import torch
from torch import Tensor

from melodyconstraints.storage.machine import processors


def compute_rows(
    compute: Callable[..., Tensor], *rows: Tensor, multiple: int, most: int
) -> Tensor:
    """``compute(*rows)``, where rows do not depend on each other; without gradients.

    Args:
        rows: tensors of as many rows, at least one; on one device.
        multiple: parts are of a multiple of so many rows, but for the last.
        most: rows of a part.
    """
    if rows[0].device.type != "cpu":
        return compute(*rows)
    share = -(-len(rows[0]) // (multiple * processors())) * multiple
    parts = zip(*(tensor.split(min(share, most)) for tensor in rows), strict=True)
    tasks = [_workers().submit(torch.no_grad()(compute), *part) for part in parts]
    return torch.cat([task.result() for task in tasks])


@cache
def _workers() -> ThreadPoolExecutor:
    torch.get_num_threads()  # the caller's own number of threads is settled before theirs
    return ThreadPoolExecutor(processors(), "rows", torch.set_num_threads, (1,))


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_workers.cache_clear)
