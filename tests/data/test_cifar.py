import io
import pickle
import struct
import warnings

import numpy as np
import pytest
import torch

from bmx.data.cifar import cifar10, cifar100
from bmx.errors import UsageError


def batch(label_key, count, classes, seed):
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (count, 3072), dtype=np.uint8)
    return {b"data": pixels, label_key: [int(n) for n in random.integers(0, classes, count)], b"batch_label": b"x"}


class Python2Pickler(pickle._Pickler):
    """Writes as Python 2 did, in which the published files were made: every string is one of bytes."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012  (the base class has it so)

    def save_binstring(self, text):
        content = text.encode("latin1") if isinstance(text, str) else text
        self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = save_binstring


def published(content):
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump(content)
    return file.getvalue().replace(b"numpy._core.multiarray\n", b"numpy.core.multiarray\n")


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(published(content))


@pytest.fixture
def ten(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    parts = {f"data_batch_{i}": batch(b"labels", 8, 10, i) for i in range(1, 6)} | {
        "test_batch": batch(b"labels", 6, 10, 9)
    }
    for name, content in parts.items():
        write(folder / name, content)
    return tmp_path, folder, parts


@pytest.fixture
def hundred(tmp_path):
    folder = tmp_path / "cifar-100-python"
    parts = {"train": batch(b"fine_labels", 12, 100, 0), "test": batch(b"fine_labels", 5, 100, 1)}
    for name, content in parts.items():
        write(folder / name, content)
    write(folder / "meta", {b"fine_label_names": [f"thing {i}".encode() for i in range(100)]})
    return tmp_path, folder, parts


def test_cifar10_is_its_five_batches_in_order(ten):
    root, _, parts = ten
    source = cifar10(str(root))
    assert source.spec.input_shape == (3, 32, 32)
    assert source.spec.labels[3] == "cat"
    assert source.train.inputs.shape == (40, 3, 32, 32)
    assert source.train.inputs.dtype == torch.uint8
    expected = np.concatenate([parts[f"data_batch_{i}"][b"data"] for i in range(1, 6)])
    np.testing.assert_array_equal(source.train.inputs.flatten(1).numpy(), expected)
    assert source.train.targets.tolist() == [n for i in range(1, 6) for n in parts[f"data_batch_{i}"][b"labels"]]
    assert source.test.targets.tolist() == parts["test_batch"][b"labels"]


def test_cifar100_has_the_fine_labels_and_their_names(hundred):
    root, _, parts = hundred
    source = cifar100(str(root))
    assert source.spec.num_classes == 100
    assert source.spec.labels[42] == "thing 42"
    assert source.train.targets.tolist() == parts["train"][b"fine_labels"]
    np.testing.assert_array_equal(source.test.inputs.flatten(1).numpy(), parts["test"][b"data"])


def test_torchvision_agrees(ten, monkeypatch):
    from torchvision.datasets import CIFAR10

    root, folder, _ = ten
    write(folder / "batches.meta", {b"label_names": [b"a"] * 10})
    # These batches are not the published ones, so their checksums are not asked for.
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *args: True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = CIFAR10(root, train=True)
    source = cifar10(str(root))
    np.testing.assert_array_equal(source.train.inputs.permute(0, 2, 3, 1).numpy(), theirs.data)
    assert source.train.targets.tolist() == theirs.targets


def test_files_that_were_written_anew_by_python_3_are_read_too(ten):
    root, folder, parts = ten
    before = cifar10(str(root))
    for number, (name, content) in enumerate(parts.items()):
        as_text = {key.decode(): value for key, value in content.items()}
        (folder / name).write_bytes(pickle.dumps(as_text if number % 2 else content, protocol=number % 5))
    assert torch.equal(cifar10(str(root)).train.inputs, before.train.inputs)


class Evil:
    def __reduce__(self):
        import os

        return os.mkdir, ("ran",)


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"", "damaged"),
        (b"<html>404</html>", "damaged"),
        (pickle.dumps([1, 2], protocol=2), "holds a list"),
        (pickle.dumps({b"labels": [1]}, protocol=2), "its images"),
        (pickle.dumps(batch(b"labels", 3, 10, 0) | {b"labels": [1, 2]}, protocol=2), "3 images and labels"),
        (pickle.dumps(batch(b"labels", 3, 10, 0) | {b"labels": [1, 2, 10]}, protocol=2), "labels run from 1 to 10"),
        (pickle.dumps({b"data": np.zeros((3, 100), np.uint8), b"labels": [0, 1, 2]}, protocol=2), r"shape \(3, 100\)"),
        (pickle.dumps({b"data": Evil()}, protocol=2), "which is no array"),
    ],
)
def test_damaged_batches_are_named_and_never_run(ten, content, fact, monkeypatch):
    root, folder, _ = ten
    monkeypatch.chdir(root)
    (folder / "data_batch_3").write_bytes(content)
    with pytest.raises(UsageError, match=fact) as error:
        cifar10(str(root))
    assert error.value.where == str(folder / "data_batch_3")
    assert not (root / "ran").exists()


def test_a_cut_batch_is_named(ten):
    root, folder, _ = ten
    path = folder / "test_batch"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UsageError, match="test_batch is damaged"):
        cifar10(str(root))


def test_a_hundred_classes_need_a_hundred_names(hundred):
    root, folder, _ = hundred
    write(folder / "meta", {b"fine_label_names": [b"one"]})
    with pytest.raises(UsageError, match="names 1 classes"):
        cifar100(str(root))
