"""Minimum batch size of a net in training: 2 where batch norm would see a single value per channel."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bmx.errors import UsageError


def least_batch(net: nn.Module, inputs: Tensor, make: Callable[[], nn.Module]) -> int:
    """Smallest batch that a net can be trained on: 2 where a single sample fails, else 1.

    The reason is batch norm: one value per channel has no variance. Whether that occurs depends on how the layers
    change the spatial size, so a batch of one is sent through the net.

    Args:
        net: on the meta device, in training mode; it takes ``inputs``.
        inputs: a preprocessed batch, on the CPU.
        make: builds the same net again, for one that the meta device cannot run.
    """
    one = inputs[:1]
    with torch.no_grad():
        try:
            return _least(net, one.to("meta"))
        except Exception:  # it needs two samples, or the meta device lacks an operation
            try:
                return _least(make().train(), one)
            except Exception:  # a net that takes two samples and not one needs two, whatever the error
                return 2


def _least(net: nn.Module, one: Tensor) -> int:
    outputs = net(one)
    return 1 if isinstance(outputs, Tensor) and outputs.ndim == 2 and len(outputs) == 1 else 2


def check_batches(least: int, samples: int, batch_size: int, accumulate: int) -> None:
    """Checks that every part of every batch will be large enough for a net.

    Args:
        least: the minimum from :func:`least_batch`.
        samples: number of training samples.
        batch_size: of an optimiser step.
        accumulate: parts of a batch.

    Raises:
        UsageError: a part is too small; the message names the nearest valid sizes.
    """
    if least == 1:
        return
    why = "this model cannot be trained on one sample at a time: batch norm needs several values per channel"
    if samples < least:
        raise UsageError(why, f"a training set of {samples}", f"give it at least {least} samples, or model without it")
    if batch_size < least:
        raise UsageError(why, f"batch_size={batch_size}", f"use batch_size={least} or more")
    if -(-batch_size // accumulate) < least:
        fix = f"use trainer.accumulate={batch_size // least} or less, or batch_size={least * accumulate} or more"
        if least * accumulate > samples:
            fix = f"use trainer.accumulate={batch_size // least} or less"
        raise UsageError(why, f"trainer.accumulate={accumulate} of batch_size={batch_size}", fix)
