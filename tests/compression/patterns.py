"""A small data set that nets of every kind learn within seconds: images of five patterns under noise."""

from __future__ import annotations

import torch

from bmx.data.arrays import Arrays, Source
from bmx.data.spec import DataSpec
from tests.compression.kinds_of_nets import CLASSES, SHAPE


def patterns(samples: int = 640, noise: float = 1.0) -> Source:
    """Five images, the same always, each seen ``samples / 5`` times with noise: four fifths to train on."""
    chance = torch.Generator().manual_seed(0)
    targets = torch.arange(samples) % CLASSES
    images = torch.randn(CLASSES, *SHAPE, generator=chance)[targets]
    # A mean of its own for each class and channel, which a net that averages over the image sees too.
    images = images + torch.randn(CLASSES, SHAPE[0], 1, 1, generator=chance)[targets]
    images = images + noise * torch.randn(images.shape, generator=chance)
    train = samples * 4 // 5
    halves = [Arrays(images[part], targets[part]) for part in (slice(0, train), slice(train, None))]
    return Source(*halves, DataSpec("patterns", "image", SHAPE, CLASSES))
