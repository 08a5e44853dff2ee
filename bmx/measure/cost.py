"""Static cost of a model: parameters, multiply-accumulates (MACs) and file size, without running it on data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from bmx.measure.macs import count_macs

__all__ = ["Cost", "cost_of", "count_macs", "file_bytes", "nonzero_parameters"]


@dataclass(frozen=True)
class Cost:
    """Parameters, MACs and file size of one model.

    Attributes:
        parameters: number of parameters, frozen ones included.
        trainable_parameters: those that receive gradients.
        macs: multiply-accumulates of one sample's forward pass, in convolutions, linear layers, attention and
            recurrent cells.
        bytes: size of a file with the weights and buffers.
        nonzero_parameters: those that are not zero; unstructured pruning lowers only this number.
    """

    parameters: int
    trainable_parameters: int
    macs: int
    bytes: int
    nonzero_parameters: int = 0

    @property
    def frozen_parameters(self) -> int:
        """Parameters that receive no gradients."""
        return self.parameters - self.trainable_parameters

    @property
    def flops(self) -> int:
        """Floating-point operations of one sample's forward pass: a multiply-accumulate is two."""
        return 2 * self.macs

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


def cost_of(model: nn.Module, inputs: Tensor) -> Cost:
    """Computes the cost of ``model``; ``inputs`` is an example with a batch of one."""
    return Cost(
        parameters=sum(p.numel() for p in model.parameters()),
        trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        macs=count_macs(model, inputs),
        bytes=file_bytes(model),
        nonzero_parameters=nonzero_parameters(model),
    )


def nonzero_parameters(model: nn.Module) -> int:
    """Number of nonzero parameters; all of them where there are no values (the meta device)."""
    return sum(p.numel() if p.is_meta else int(torch.count_nonzero(p.detach())) for p in model.parameters())


def file_bytes(model: nn.Module) -> int:
    """Size in bytes of the file that ``torch.save`` makes of the model's state dict; no file is written."""
    counter = _Counter()
    state = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    torch.save(state, cast(Any, counter))
    return counter.bytes


class _Counter:
    """Write-only file object that counts the bytes written and discards them."""

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.bytes += size
        return size

    def flush(self) -> None:
        pass
