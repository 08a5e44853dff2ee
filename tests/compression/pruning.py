"""A context for pruning without data, and nets to prune."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bmx.compression.method import Context
from bmx.data.spec import DataSpec

SPEC = DataSpec("noise", "table", (12,), 4)


def context(spec: DataSpec = SPEC, example: Tensor | None = None, seed: int = 0, **more) -> Context:
    def calibration(samples: int) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(7)
        for _ in range(-(-samples // 16)):
            one = torch.zeros(1, *spec.input_shape) if example is None else example
            if one.is_floating_point():
                inputs = torch.randn(16, *one.shape[1:], generator=generator)
            else:
                inputs = torch.randint(0, spec.vocab_size, (16, *one.shape[1:]), generator=generator)
            yield inputs, torch.randint(0, spec.num_classes, (16,), generator=generator)

    example = torch.zeros(1, *spec.input_shape) if example is None else example
    return Context(spec, example, calibration, F.cross_entropy, lambda net: 0.0, seed, **more)


def small_net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.LayerNorm(20), nn.Linear(20, 4))
