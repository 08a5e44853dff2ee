"""Disk cache of a frozen teacher's outputs for each training sample, shared between runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from bmx.data.arrays import Arrays
from bmx.data.pipeline.cache import cached_arrays
from bmx.distillation.method import Outputs

# Batch size of the teacher.
_BATCH = 500


class TeacherOutputs:
    """The teacher's outputs by index of the training sample, as tensors on the device.

    Args:
        outputs: of all N samples, as :meth:`bmx.distillation.method.Distillation.prepare` returns them.
    """

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs

    def rows(self, rows: Tensor) -> Outputs:
        """The teacher's outputs for the samples ``rows`` (int64, on the same device)."""
        features = [f.index_select(0, rows) for f in self.outputs.features]
        return Outputs(self.outputs.logits.index_select(0, rows), features)


def outputs_of(key: str, ask: Callable[[Tensor], Outputs], arrays: Arrays, device: torch.device) -> Outputs:
    """The outputs for every sample, from the cache if an equal teacher was evaluated on the same samples before.

    Entries are written whole or not at all; one process computes while others wait for it.

    Args:
        key: identifies this teacher with these samples; see :func:`digest`.
        ask: from a raw batch on the device to outputs.
        arrays: the training samples.
        device: where the outputs are stored.
    """

    def compute() -> dict[str, np.ndarray]:
        parts: list[list[Tensor]] = []
        for first in range(0, len(arrays), _BATCH):
            inputs, _ = arrays.batch(torch.arange(first, min(first + _BATCH, len(arrays))))
            said = ask(inputs.to(device))
            parts.append([t.float().cpu() for t in (said.logits, *said.features)])
        return {str(i): torch.cat(column).numpy() for i, column in enumerate(zip(*parts, strict=True))}

    found = cached_arrays(f"teacher-{key}", compute)
    logits, *features = (torch.from_numpy(found[str(i)]).to(device) for i in range(len(found)))
    return Outputs(logits, features)


def bytes_of(one: Outputs, samples: int) -> int:
    """Memory of the outputs for ``samples`` samples, in bytes, extrapolated from those for a batch."""
    per_sample = sum(t[0].numel() for t in (one.logits, *one.features))
    return 4 * per_sample * samples


def digest(states: Iterable[dict[str, Tensor]], *facts: object) -> str:
    """Content hash of teachers: their weights and everything else that their outputs depend on.

    Args:
        states: the tensors of each teacher, in order.
        facts: whatever else matters: the data and their split, layers, precision.
    """
    found = hashlib.blake2b(repr(facts).encode(), digest_size=12)
    for state in states:
        for name, tensor in state.items():
            found.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
            data = tensor.detach().cpu().contiguous()
            if data.numel():
                found.update(data.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
