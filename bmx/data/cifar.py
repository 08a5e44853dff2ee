"""CIFAR-10 and CIFAR-100: 50,000 training and 10,000 test colour images of 32×32."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bmx.data.arrays import Arrays, Source
from bmx.data.pipeline.download import data_folder, fetch
from bmx.data.spec import DataSpec
from bmx.errors import UsageError

_SHAPE = (3, 32, 32)
_THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def cifar10(dir: str | None = None) -> Source:
    """CIFAR-10: ten classes of animals and vehicles (Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html).

    Args:
        dir: holds ``cifar-10-batches-py/data_batch_1`` and the others (the "python version"); they are downloaded
            where they are missing. Null is bmx's cache folder.

    Raises:
        UsageError: the files are not there and cannot be downloaded, or are damaged.
    """
    batches = [f"data_batch_{i}" for i in range(1, 6)]
    folder = _there("cifar10", "CIFAR10", "cifar-10-batches-py", [*batches, "test_batch"], dir)
    train, test = _arrays(folder, batches, b"labels", 10), _arrays(folder, ["test_batch"], b"labels", 10)
    return Source(train, test, DataSpec("cifar10", "image", _SHAPE, 10, _THINGS))


def cifar100(dir: str | None = None) -> Source:
    """CIFAR-100: a hundred classes, in ``cifar-100-python``; arguments and errors are those of :func:`cifar10`."""
    folder = _there("cifar100", "CIFAR100", "cifar-100-python", ["train", "test", "meta"], dir)
    labels = tuple(_text(name) for name in _field(folder / "meta", b"fine_label_names"))
    if len(labels) != 100:
        raise _damaged(folder / "meta", f"it names {len(labels)} classes, not 100")
    train, test = _arrays(folder, ["train"], b"fine_labels", 100), _arrays(folder, ["test"], b"fine_labels", 100)
    return Source(train, test, DataSpec("cifar100", "image", _SHAPE, 100, labels))


def _there(name: str, torchvision_name: str, subfolder: str, files: list[str], dir: str | None) -> Path:
    """The folder of the files; downloads them if one is missing."""
    root = data_folder(dir)

    def present() -> bool:
        return all((root / subfolder / file).is_file() for file in files)

    def download(fresh: Path) -> None:
        # Seconds to import, so only where there is something to fetch.
        import torchvision.datasets

        getattr(torchvision.datasets, torchvision_name)(fresh, download=True)

    if not present():
        fetch(name, root, subfolder, present, download)
    return root / subfolder


def _arrays(folder: Path, files: list[str], label_key: bytes, classes: int) -> Arrays:
    images, labels = [], []
    for file in files:
        batch = _unpickle(folder / file)
        rows, numbers = np.asarray(batch.get(b"data")), np.asarray(batch.get(label_key))
        if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != np.prod(_SHAPE):
            raise _damaged(folder / file, f"its images have shape {rows.shape} of {rows.dtype}")
        if numbers.dtype.kind != "i" or numbers.shape != (len(rows),):
            raise _damaged(folder / file, f"it has {len(rows)} images and labels of shape {numbers.shape}")
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < classes:
            raise _damaged(folder / file, f"its labels run from {numbers.min()} to {numbers.max()}")
        images.append(rows)
        labels.append(numbers.astype(np.int64))
    pixels = torch.from_numpy(np.concatenate(images)).view(-1, *_SHAPE)
    return Arrays(pixels, torch.from_numpy(np.concatenate(labels)))


class _ArraysOnly(pickle.Unpickler):
    """Restricted unpickler: loads numpy arrays and plain containers, and rejects any other global."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np.empty(0).__reduce__()[0]
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no array")


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    # How Python 3 writes bytes in the pickle format of Python 2.
    return text.encode("latin1")


def _unpickle(path: Path) -> dict[bytes, Any]:
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file, encoding="bytes").load()
    except Exception as error:
        # A truncated or overwritten pickle raises any of a dozen exceptions.
        raise _damaged(path, str(error) or type(error).__name__) from None
    if not isinstance(content, dict):
        raise _damaged(path, f"it holds a {type(content).__name__}")
    return {key.encode() if isinstance(key, str) else key: value for key, value in content.items()}


def _field(path: Path, key: bytes) -> list[Any]:
    value = _unpickle(path).get(key)
    return list(value) if isinstance(value, list | tuple) else []


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _damaged(path: Path, why: str) -> UsageError:
    return UsageError(f"{path.name} is damaged: {why}", str(path), "delete the file, then run again or copy it anew")
