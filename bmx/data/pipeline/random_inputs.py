"""Batches of noise in the shape of a data set, for measurements that do not look at the answers."""

from __future__ import annotations

import torch
from torch import Tensor

from bmx.data.spec import DataSpec


def random_inputs(spec: DataSpec, samples: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    """A batch as a model takes it behind the input stage: (N, C, H, W) or (N, F) normal, (N, T) ids without pads.

    Args:
        spec: of the data.
        samples: the batch size.
        dtype: of images and table rows; that of the model's weights.
        seed: of the numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (samples, *spec.input_shape)
    if spec.kind != "tokens":
        return torch.randn(shape, generator=generator).to(dtype)
    ids = torch.randint(0, max(1, spec.vocab_size - 1), shape, generator=generator)
    return ids + (ids >= spec.pad_id) if spec.vocab_size > 1 else ids
