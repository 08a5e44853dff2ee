"""Synthetic images from a seed, of any number, size and number of classes, for measurements and tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bmx.data.arrays import Arrays, Source
from bmx.data.pipeline.cache import cache_folder
from bmx.data.pipeline.rows import FileRows
from bmx.data.pipeline.spooling import write_rows
from bmx.data.spec import DataSpec
from bmx.errors import UsageError

# Values drawn at once, 64 MB of them: bounds the memory besides the result.
_CHUNK = 16 << 20
# Bytes from which a training set may be left on disk.
LARGE = 256 << 20
_TEST_SEED = 1_000_003


def synthetic(
    samples: int = 10_000,
    test_samples: int = 1_000,
    shape: Sequence[int] = (1, 28, 28),
    classes: int = 10,
    noise: float = 0.5,
    seed: int = 0,
    on_disk: bool = False,
) -> Source:
    """A smooth random template image for each class, plus noise.

    Args:
        samples: training images.
        test_samples: test images.
        shape: channels, height and width.
        classes: number of classes, of equal size up to one image.
        noise: standard deviation of a pixel's noise as a fraction of the range 0..255; 0 is none, at 1 little is left
            of the template.
        seed: of the templates, the noise and the order.
        on_disk: keep a large training set in a file of the cache folder, generated in chunks.

    Raises:
        UsageError: a number below 1, a shape of other than three sizes, or negative noise.
    """
    size = tuple(int(n) for n in shape)
    if len(size) != 3 or min(*size, samples, test_samples, classes) < 1 or noise < 0:
        raise UsageError(
            "synthetic images need at least one sample and class, three sizes, and noise that is not negative",
            f"data.samples={samples} data.test_samples={test_samples} data.shape={list(size)} "
            f"data.classes={classes} data.noise={noise}",
            "for example data.shape=[3,32,32] data.classes=10",
        )
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((classes, size[0], 4, 4), generator=generator)
    pictures = F.interpolate(coarse, size[1:], mode="bilinear", align_corners=False).mul_(255)
    large = on_disk and samples * pictures[0].numel() > LARGE
    train = (_draw_to_disk if large else _draw)(samples, pictures, noise, generator)
    # A stream of its own: the test set must not depend on whether the training set was drawn or found on disk.
    test = _draw(test_samples, pictures, noise, torch.Generator().manual_seed(seed + _TEST_SEED))
    labels = tuple(f"class {i}" for i in range(classes))
    return Source(train, test, DataSpec("synthetic", "image", (size[0], size[1], size[2]), classes, labels))


def _draw(count: int, pictures: Tensor, noise: float, generator: torch.Generator) -> Arrays:
    targets = torch.randperm(count, generator=generator) % len(pictures)
    images = torch.empty((count, *pictures.shape[1:]), dtype=torch.uint8)
    first = 0
    for chunk in _chunks(targets, pictures, noise, generator):
        images[first : first + len(chunk)] = chunk
        first += len(chunk)
    return Arrays(images, targets)


def _draw_to_disk(count: int, pictures: Tensor, noise: float, generator: torch.Generator) -> Arrays:
    """Generates the images of :func:`_draw` in a file, without holding them in memory."""
    targets = torch.randperm(count, generator=generator) % len(pictures)
    key = hashlib.blake2b(f"{noise}".encode(), digest_size=8)
    for fact in (generator.get_state(), pictures, targets):
        key.update(fact.numpy().tobytes())
    path = cache_folder() / "rows" / f"synthetic-{key.hexdigest()}.bin"
    if not path.exists() or path.stat().st_size != count * pictures[0].numel():
        write_rows(path, _chunks(targets, pictures, noise, generator))
    return Arrays(FileRows.whole(path, torch.uint8, (count, *pictures.shape[1:])), targets)


def _chunks(targets: Tensor, pictures: Tensor, noise: float, generator: torch.Generator) -> Iterator[Tensor]:
    for part in targets.split(max(1, _CHUNK // pictures[0].numel())):
        pixels = torch.randn((len(part), *pictures.shape[1:]), generator=generator)
        # All in place: at 224×224 a thousand float images are 600 MB.
        yield pixels.mul_(255 * noise).add_(pictures[part]).clamp_(0, 255).round_().to(torch.uint8)
