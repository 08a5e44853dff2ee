"""Random changes to a batch of raw images while training, on the device that the batch is on.

They draw from torch's global random state, which a resumed run gets back, so that it sees the same images as one that
was never stopped.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class Augmentation:
    """Changes a raw batch; a subclass says what kind of data it is for."""

    kind: str = "image"

    def __call__(self, raw: Tensor) -> Tensor:
        """A batch of the same shape and dtype as ``raw``, which is not written to."""
        raise NotImplementedError


class Jitter(Augmentation):
    """Moves each image by up to ``pixels`` in both directions; what comes in from outside is 0.

    Args:
        pixels: largest shift; every shift is equally likely. 0 moves nothing.

    Raises:
        ValueError: fewer than 0 pixels.
    """

    def __init__(self, pixels: int = 2) -> None:
        if pixels < 0:
            raise ValueError(f"pixels must be 0 or more, got {pixels}")
        self.pixels = pixels

    def __call__(self, raw: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        if not self.pixels:
            return raw
        n, _, height, width = raw.shape
        windows = F.pad(raw, [self.pixels] * 4).unfold(2, height, 1).unfold(3, width, 1)
        down, right = torch.randint(2 * self.pixels + 1, (2, n), device=raw.device)
        return windows[torch.arange(n, device=raw.device), :, down, right]


class CropFlip(Jitter):
    """A crop of the image padded by ``pixels``, mirrored left to right half of the time: what CIFAR is trained with.

    Args:
        pixels: of padding on each side.
    """

    def __init__(self, pixels: int = 4) -> None:
        super().__init__(pixels)

    def __call__(self, raw: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        moved = super().__call__(raw)
        mirrored = torch.rand(len(raw), device=raw.device) < 0.5
        return torch.where(mirrored.view(-1, 1, 1, 1), moved.flip(3), moved)
