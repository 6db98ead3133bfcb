"""Training on several devices: every process takes its rows of the global batch.

``torchrun --nproc-per-node N`` starts the processes and tells each its place by environment
variables; without it there is one process and all of this does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from melodyconstraints.errors import UsageError


@dataclass(frozen=True)
class Processes:
    """One process's place among those that train a model together.

    Args:
        rank: in [0, count); the first one measures and writes.
        count: processes in all.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process measures, writes and talks."""
        return self.rank == 0

    def rows(self, batch: Tensor) -> Tensor:
        """This process's rows of a batch ``(B, ...)``: ``(B / count, ...)``."""
        return batch[self.rank :: self.count]

    def wrap(self, module: nn.Module) -> nn.Module:
        """A module whose backward pass averages the gradients of all processes."""
        if self.count == 1:
            return module
        return nn.parallel.DistributedDataParallel(module, find_unused_parameters=True)

    def share(self, module: nn.Module) -> None:
        """Give all processes the first one's parameters and buffers."""
        if self.count > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)

    def agree(self, number: float) -> float:
        """The first process's number."""
        if self.count == 1:
            return number
        told = [number]
        dist.broadcast_object_list(told, 0)
        return told[0]

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean of all processes' tensors, element by element, without a gradient."""
        total = tensor.detach().clone()
        if self.count > 1:
            dist.all_reduce(total)
        return total / self.count

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.count > 1:
            dist.barrier()


@contextmanager
def processes(device: str, batch_size: int) -> Iterator[tuple[Processes, str]]:
    """This process's place, and its device: with ``cuda``, one GPU a process.

    Raises:
        UsageError: the global batch cannot be shared out evenly.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(), device
        return
    if batch_size % count:
        raise UsageError(f"a batch of {batch_size} cannot be shared by {count} processes evenly")
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Processes(dist.get_rank(), count), device
    finally:
        dist.destroy_process_group()
