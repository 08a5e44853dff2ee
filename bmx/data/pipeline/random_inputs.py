"""Random batches in the shape of a data set, for measurements that do not depend on values."""

from __future__ import annotations

import torch
from torch import Tensor

from bmx.data.spec import DataSpec


def random_inputs(spec: DataSpec, samples: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    """A random batch as the input stage returns it: (N, …) standard normal values, or ids without padding.

    Args:
        spec: of the data.
        samples: the batch size.
        dtype: that of the model's weights; ids are int64.
        seed: of the random values.
    """
    generator = torch.Generator().manual_seed(seed)
    return spec.form.random_inputs(spec, samples, dtype, generator)
