"""Digits data set of scikit-learn: 1,797 images of 8×8 pixels."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import torch

from bmx.data.arrays import Arrays, Source
from bmx.data.pipeline.cache import cached_arrays
from bmx.data.pipeline.split import hold_out
from bmx.data.spec import DataSpec


def digits() -> Source:
    """Handwritten digits of the UCI repository: 1,438 training and 359 test images, in a fixed split.

    The 17 grey levels 0..16 are spread over 0..255, so that the images look right wherever uint8 is expected.
    """
    arrays = cached_arrays(f"digits-sklearn-{version('scikit-learn')}", _load)
    everything = Arrays(torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"]))
    train, test = hold_out(everything.targets, 0.2, seed=0)
    spec = DataSpec("digits", "image", (1, 8, 8), 10, tuple("0123456789"))
    return Source(everything.select(train), everything.select(test), spec)


def _load() -> dict[str, np.ndarray]:
    from sklearn.datasets import load_digits  # a second to import, so only where there is nothing in the cache

    images, labels = load_digits(return_X_y=True)
    levels = np.rint(images * (255 / 16)).astype(np.uint8)
    return {"images": levels.reshape(-1, 1, 8, 8), "labels": labels.astype(np.int64)}
