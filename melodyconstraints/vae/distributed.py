"""Training on several devices: every process takes its rows of the global batch.

``torchrun --nproc-per-node N`` starts the processes and gives each its rank by environment
variables; without it there is one process, and every method here leaves things as they are.
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
    """The rank of this process among those that train a model together.

    Args:
        rank: rank in [0, count); the process of rank 0 evaluates and writes.
        count: number of processes.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that evaluates, writes and reports."""
        return self.rank == 0

    def rows(self, batch: Tensor) -> Tensor:
        """Select this process's rows of a batch ``(B, ...)``: ``(B / count, ...)``."""
        return batch[self.rank :: self.count]

    def wrap(self, module: nn.Module) -> nn.Module:
        """Wrap a module so that its backward pass averages the gradients of all processes."""
        if self.count == 1:
            return module
        return nn.parallel.DistributedDataParallel(module, find_unused_parameters=True)

    def share(self, module: nn.Module) -> None:
        """Copy the first process's parameters and buffers to all processes."""
        if self.count > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)

    def agree(self, number: float) -> float:
        """Return the first process's number in every process."""
        if self.count == 1:
            return number
        shared = [number]
        dist.broadcast_object_list(shared, 0)
        return shared[0]

    def mean(self, tensor: Tensor) -> Tensor:
        """Average the tensors of all processes, element by element, without a gradient."""
        total = tensor.detach().clone()
        if self.count > 1:
            dist.all_reduce(total)
        return total / self.count

    def wait(self) -> None:
        """Wait until all processes have called this."""
        if self.count > 1:
            dist.barrier()


@contextmanager
def processes(device: str, batch_size: int) -> Iterator[tuple[Processes, str]]:
    """Join the training processes; yield this one's rank and device, with ``cuda`` one GPU each.

    Raises:
        UsageError: the global batch cannot be divided evenly.
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
