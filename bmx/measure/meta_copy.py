"""Copies of a model that have shapes but no numbers: what would it do, without the memory and the arithmetic?"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel


def shadow(model: nn.Module, empty: Callable[[Tensor], Tensor] | None = None) -> nn.Module:
    """A copy of ``model`` whose parameters and buffers are replaced one by one, shared ones once.

    Args:
        model: left as it is; nothing of its size is allocated.
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
    """While it lasts, nn.TransformerEncoder runs its layers one by one, which is what it does while training."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


@contextmanager
def plain_kernels() -> Iterator[None]:
    """While it lasts, attention and nn.TransformerEncoder are visible matrix products, not fused kernels."""
    with no_fast_path(), sdpa_kernel(SDPBackend.MATH):
        yield
