"""Copies of a model on the meta device: shapes without values, for analysis without memory or arithmetic."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel


def shadow(model: nn.Module, empty: Callable[[Tensor], Tensor] | None = None) -> nn.Module:
    """Copies ``model`` with its parameters and buffers replaced by empty stand-ins; shared ones stay shared.

    Args:
        model: not modified; nothing of its size is allocated.
        empty: makes the stand-in of a tensor; the default is an empty tensor on the meta device.
    """
    make = empty or (lambda tensor: torch.empty_like(tensor, device="meta"))
    replaced: dict[int, object] = {}
    for parameter in model.parameters():
        stand_in = make(parameter.detach())
        replaced[id(parameter)] = nn.Parameter(stand_in, parameter.requires_grad)
    for buffer in model.buffers():
        replaced[id(buffer)] = make(buffer.detach())
    return copy.deepcopy(model, replaced)


@contextmanager
def no_fast_path() -> Iterator[None]:
    """Context manager that makes nn.TransformerEncoder run its layers one by one, as it does in training."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Context manager that makes attention and nn.TransformerEncoder run as matrix products, not fused kernels."""
    with no_fast_path(), sdpa_kernel(SDPBackend.MATH):
        yield
