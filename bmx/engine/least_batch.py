"""How many samples a net must be given at once while it is trained."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bmx.errors import UsageError


def least_batch(net: nn.Module, inputs: Tensor, make: Callable[[], nn.Module]) -> int:
    """2 where a single sample cannot be trained on, else 1.

    Batch norm is why: from one value per channel there is no variance to be had. Whether a net comes to that depends
    on what its layers make of the samples' size, so a batch of one is sent through it.

    Args:
        net: on the meta device, in training mode; it takes ``inputs``.
        inputs: a batch as the net takes it, on the CPU.
        make: the same net once more, for one that the meta device cannot run.
    """
    one = inputs[:1]
    with torch.no_grad():
        try:
            return _least(net, one.to("meta"))
        except Exception:  # that says it needs two, or that the meta device lacks something
            try:
                return _least(make().train(), one)
            except Exception:  # a net that takes two samples and not one needs two, whatever it says
                return 2


def _least(net: nn.Module, one: Tensor) -> int:
    outputs = net(one)
    return 1 if isinstance(outputs, Tensor) and outputs.ndim == 2 and len(outputs) == 1 else 2


def check_batches(least: int, samples: int, batch_size: int, accumulate: int) -> None:
    """Finds out whether every part of every batch will be large enough for a net.

    Args:
        least: what :func:`least_batch` found.
        samples: of the training set.
        batch_size: of an optimiser step.
        accumulate: parts of a batch.

    Raises:
        UsageError: it would not; the nearest sizes that do are told.
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
