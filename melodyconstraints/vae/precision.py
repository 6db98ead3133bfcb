"""The floating-point type of matrix products: bfloat16 where the hardware has it, else float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from melodyconstraints.storage.arguments import check_choice

PRECISIONS = ("auto", "bfloat16", "float32")


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 in hardware; elsewhere it is slower than float32.

    torch 2.10 does not say so of processors; float32 is right on all.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    features = capabilities()
    return device.type == "cpu" and bool(features.get("avx512_bf16") or features.get("amx_bf16"))


def require_precision(precision: str) -> None:
    """Refuse a precision that is none of :data:`PRECISIONS`.

    Raises:
        UsageError: the precision is unknown.
    """
    check_choice("precision", precision, PRECISIONS)


def products(
    precision: str, device: torch.device, *, weights_change: bool = False
) -> torch.autocast:
    """A context in which matrix products have one of :data:`PRECISIONS`; ``auto`` is the fastest.

    Args:
        weights_change: whether weights change inside the context, as in a whole training; they
            are then converted anew for every product, otherwise once.

    Raises:
        UsageError: the precision is unknown.
    """
    require_precision(precision)
    bfloat16 = has_bfloat16(device) if precision == "auto" else precision == "bfloat16"
    return torch.autocast(
        device.type, torch.bfloat16, enabled=bfloat16, cache_enabled=not weights_change
    )


def products_dtype(device: torch.device) -> torch.dtype:
    """The type that matrix products have in the current context."""
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    return torch.float32
