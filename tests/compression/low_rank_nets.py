"""Small nets and contexts that the tests of low rank share."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bmx.compression.method import Context
from bmx.data.spec import DataSpec


def context(
    inputs: Tensor,
    classes: int = 4,
    targets: Tensor | None = None,
    held_out: tuple[Tensor, Tensor] | None = None,
    seed: int = 0,
) -> Context:
    """A context whose calibration samples are ``inputs``; 0 classes is regression."""
    targets = torch.zeros(len(inputs), dtype=torch.long) if targets is None else targets
    shape = tuple(inputs.shape[1:])
    if inputs.dtype == torch.long:
        spec = DataSpec("toy", "tokens", shape, classes, vocab_size=20)
    else:
        spec = DataSpec("toy", "image" if len(shape) == 3 else "table", shape, classes)

    def calibration(n: int) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, min(n, len(inputs)), 64):
            yield inputs[start : start + 64], targets[start : start + 64]

    def score(net: nn.Module) -> float:
        x, y = held_out or (inputs, targets)
        with torch.no_grad():
            return 100 * float((net(x).argmax(1) == y).float().mean())

    return Context(spec, inputs[:1], calibration, F.cross_entropy, score, seed)


def perceptron(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = [nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 24, bias=False), nn.Tanh(), nn.Linear(24, 4)]
    return nn.Sequential(*layers).eval()


def convolutional(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, padding_mode="reflect"),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 16, 3, stride=2, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 16, 3, padding=1, groups=4),
        nn.Conv2d(16, 12, (3, 1), dilation=(1, 2), padding="same"),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(48, 4),
    ).eval()


def images(count: int = 96, seed: int = 1) -> Tensor:
    return torch.randn(count, 1, 12, 12, generator=torch.Generator().manual_seed(seed))


def rows(count: int = 128, seed: int = 1) -> Tensor:
    return torch.randn(count, 20, generator=torch.Generator().manual_seed(seed))
