"""MNIST, Fashion-MNIST and KMNIST: 60,000 training and 10,000 test grey images of 28×28, ten classes."""

from __future__ import annotations

from pathlib import Path

import torch

from bmx.data.arrays import Arrays, Source
from bmx.data.pipeline.download import data_folder, fetch
from bmx.data.pipeline.idx import idx_rows, read_idx
from bmx.data.spec import DataSpec
from bmx.errors import UsageError

_DIGITS = tuple("0123456789")
_CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


def mnist(dir: str | None = None, on_disk: bool = False) -> Source:
    """MNIST: handwritten digits (LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/).

    Args:
        dir: holds ``MNIST/raw/train-images-idx3-ubyte`` and the other three, gzipped or not, as torchvision lays them
            out; they are downloaded where they are missing. Null is bmx's cache folder.
        on_disk: read the training images from their file on access, if it is not gzipped.

    Raises:
        UsageError: the files are not there and cannot be downloaded, or are damaged.
    """
    return _read("mnist", "MNIST", _DIGITS, dir, on_disk)


def fashion_mnist(dir: str | None = None, on_disk: bool = False) -> Source:
    """Fashion-MNIST: clothes (Xiao et al. 2017, https://arxiv.org/abs/1708.07747), in ``FashionMNIST/raw``.

    Arguments and errors are those of :func:`mnist`.
    """
    return _read("fashion_mnist", "FashionMNIST", _CLOTHES, dir, on_disk)


def kmnist(dir: str | None = None, on_disk: bool = False) -> Source:
    """KMNIST: cursive hiragana (Clanuwat et al. 2018, https://arxiv.org/abs/1812.01718), in ``KMNIST/raw``.

    Arguments and errors are those of :func:`mnist`.
    """
    return _read("kmnist", "KMNIST", _KANA, dir, on_disk)


def _read(name: str, torchvision_name: str, labels: tuple[str, ...], dir: str | None, on_disk: bool) -> Source:
    root = data_folder(dir)
    raw = root / torchvision_name / "raw"

    def download(fresh: Path) -> None:
        # Seconds to import, so only where there is something to fetch.
        import torchvision.datasets

        getattr(torchvision.datasets, torchvision_name)(fresh, download=True)

    if not _present(raw):
        fetch(name, root, f"{torchvision_name}/raw", lambda: _present(raw), download)
    train, test = _arrays(raw, "train", len(labels), on_disk), _arrays(raw, "t10k", len(labels))
    if train.inputs.shape[1:] != test.inputs.shape[1:]:
        raise UsageError(
            f"training images are {tuple(train.inputs.shape[2:])}, test images {tuple(test.inputs.shape[2:])}",
            str(raw),
            "put the four files of one set there",
        )
    _, channels, height, width = train.inputs.shape
    return Source(train, test, DataSpec(name, "image", (channels, height, width), len(labels), labels))


def _file(raw: Path, part: str, what: str) -> Path | None:
    """The plain or gzipped file, whichever exists; plain files first, which read faster."""
    plain = raw / f"{part}-{what}-ubyte"
    return next((path for path in (plain, plain.with_name(f"{plain.name}.gz")) if path.is_file()), None)


def _present(raw: Path) -> bool:
    return all(_file(raw, part, what) for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1"))


def _arrays(raw: Path, part: str, classes: int, on_disk: bool = False) -> Arrays:
    images_file, labels_file = _file(raw, part, "images-idx3"), _file(raw, part, "labels-idx1")
    assert images_file and labels_file
    rows = idx_rows(images_file, 3) if on_disk else None
    images = torch.from_numpy(read_idx(images_file, 3)).unsqueeze(1) if rows is None else rows.with_channel()
    labels = read_idx(labels_file, 1)
    if len(images) != len(labels):
        fact = f"{images_file.name} has {len(images):,} images and {labels_file.name} {len(labels):,} labels"
        raise UsageError(fact, str(raw), "put the files of one set there")
    if len(labels) and labels.max() >= classes:
        raise UsageError(
            f"{labels_file.name} has the label {labels.max()}, but there are {classes} classes",
            str(labels_file),
            "delete the file, then run again or copy it anew",
        )
    return Arrays(images, torch.from_numpy(labels).long())
