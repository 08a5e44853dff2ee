import gzip
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bmx.data.mnist import fashion_mnist, kmnist, mnist
from bmx.data.pipeline.fingerprint import fingerprint
from bmx.data.pipeline.idx import read_idx
from bmx.errors import UsageError
from tests.data.idx_files import idx_bytes, write_set


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("read", "folder"),
    [(mnist, "MNIST"), (fashion_mnist, "FashionMNIST"), (kmnist, "KMNIST")],
    ids=["MNIST", "FashionMNIST", "KMNIST"],
)
def test_files_in_torchvisions_layout_are_read_as_they_are(tmp_path, read, folder, zipped):
    written = write_set(tmp_path / folder / "raw", zipped=zipped)
    source = read(str(tmp_path))
    for part, arrays in (("train", source.train), ("t10k", source.test)):
        assert arrays.inputs.dtype == torch.uint8
        np.testing.assert_array_equal(arrays.inputs[:, 0].numpy(), written[f"{part}-images-idx3-ubyte"])
        np.testing.assert_array_equal(arrays.targets.numpy(), written[f"{part}-labels-idx1-ubyte"])
    assert source.spec.name == read.__name__
    assert source.spec.input_shape == (1, 28, 28)
    assert len(source.spec.labels) == source.spec.num_classes == 10


def test_torchvision_agrees(tmp_path):
    from torchvision.datasets import MNIST

    write_set(tmp_path / "MNIST" / "raw")
    source = mnist(str(tmp_path))
    for arrays, train in ((source.train, True), (source.test, False)):
        theirs = MNIST(tmp_path, train=train)
        assert torch.equal(arrays.inputs[:, 0], theirs.data)
        assert torch.equal(arrays.targets, theirs.targets)


def test_a_file_unpacked_beside_its_archive_is_preferred(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    write_set(raw)
    (raw / "train-images-idx3-ubyte.gz").write_bytes(b"not even gzip")
    assert len(mnist(str(tmp_path)).train) == 30


def test_the_batch_may_be_written_to(tmp_path):
    write_set(tmp_path / "MNIST" / "raw", zipped=True)
    mnist(str(tmp_path)).train.inputs[0] = 0


def rewrite(name, change):
    def harm(raw):
        (raw / name).write_bytes(change((raw / name).read_bytes()))

    return harm


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("harm", "fact"),
    [
        (rewrite(IMAGES, lambda b: b[:-1]), "its header says"),
        (rewrite(IMAGES, lambda b: b + b"x"), "its header says"),
        (rewrite(IMAGES, lambda b: b""), "no idx file"),
        (rewrite(IMAGES, lambda b: b"<html>404</html>"), "no idx file"),
        (rewrite(IMAGES, lambda b: b[:4] + b"\xff" * 12 + b[16:]), "its header says"),
        (rewrite(LABELS, lambda b: b[:-1] + b"\x0a"), "label 10"),
        (rewrite(LABELS, lambda b: idx_bytes(np.zeros(29, np.uint8))), "30 images and"),
        (rewrite(IMAGES, lambda b: idx_bytes(np.zeros((30, 32, 32), np.uint8))), "training images are"),
    ],
)
def test_damaged_files_are_named(tmp_path, harm, fact):
    raw = tmp_path / "MNIST" / "raw"
    write_set(raw)
    harm(raw)
    with pytest.raises(UsageError, match=fact) as error:
        mnist(str(tmp_path))
    assert str(raw) in error.value.where
    assert len(error.value.lines()) == 3


@pytest.mark.parametrize(
    "content", [b"", b"junk", gzip.compress(b"junk" * 1000)[:-20]], ids=["empty", "no archive", "cut"]
)
def test_damaged_archives_are_named(tmp_path, content):
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"train-labels-idx1-ubyte\.gz is damaged"):
        read_idx(path, 1)


def full_mnist():
    """The folder of the whole set: $BMX_TEST_MNIST, ./data, or a data folder beside the project."""
    project = Path(__file__).parents[2]
    named = os.environ.get("BMX_TEST_MNIST")
    places = [Path(named)] if named else [project / "data", *sorted(project.parent.glob("*/data"))]
    return next((place for place in places if (place / "MNIST" / "raw" / IMAGES).is_file()), None)


def test_the_whole_set_is_what_it_should_be():
    folder = full_mnist()
    if folder is None:
        pytest.skip("MNIST is not here: set BMX_TEST_MNIST to the folder that holds MNIST/raw")
    source = mnist(str(folder))
    assert (len(source.train), len(source.test)) == (60_000, 10_000)
    assert source.train.targets.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert source.test.targets.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # The mean and deviation that everybody quotes: 0.1307 and 0.3081 of 255.
    from bmx.data.pipeline.input_stage import statistics

    mean, std = statistics(source.train.inputs)
    assert round(mean.item() / 255, 4) == 0.1307
    assert round(std.item() / 255, 4) == 0.3081
    assert fingerprint(source) == fingerprint(mnist(str(folder)))


def test_reading_files_that_are_there_needs_no_torchvision(tmp_path):
    import subprocess

    write_set(tmp_path / "MNIST" / "raw")
    script = (
        "import sys; from bmx.data.mnist import mnist; mnist(sys.argv[1]);"
        "print([m for m in ('torchvision', 'sklearn', 'pytorch_lightning', 'hydra') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
