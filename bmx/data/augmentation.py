"""Data augmentation of batches of raw images, on the device of the batch.

Augmentations draw from torch's global random state, which a resumed run restores, so that it sees the same images as an
uninterrupted one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class Augmentation:
    """Base class of augmentations of raw batches; a subclass declares its kind of data."""

    kind: str = "image"

    def __call__(self, raw: Tensor) -> Tensor:
        """Augments a batch; returns one of the same shape and dtype and does not modify ``raw``."""
        raise NotImplementedError


class Jitter(Augmentation):
    """Random shift of each image by up to ``pixels`` in both directions, filled with zeros.

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
    """Random crop of the image padded by ``pixels``, and random horizontal flip: the usual CIFAR augmentation.

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
