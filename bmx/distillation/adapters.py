"""Learned adapters from a student's feature width to a teacher's; not part of the student."""

from __future__ import annotations

from torch import Tensor, nn


class Adapter(nn.Module):
    """Linear map of the channels, the same at every position (for images a 1 x 1 convolution).

    Args:
        narrow: channels of the student's feature.
        wide: channels of the teacher's.
    """

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        self.map = nn.Linear(narrow, wide)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C), (N, T, C) or (N, C, H, W), with C channels in and out."""
        out: Tensor = self.map(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) if x.ndim == 4 else self.map(x)
        return out
