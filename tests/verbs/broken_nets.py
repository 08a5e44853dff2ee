"""Nets that cannot work, for tests that name them as a ``_target_``."""

from torch import Tensor, nn


class Broken(nn.Linear):
    """Takes logarithms of negative numbers."""

    def __init__(self, in_features: int, num_classes: int | None) -> None:
        super().__init__(in_features, num_classes or 1)

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward((inputs - 100).log())
