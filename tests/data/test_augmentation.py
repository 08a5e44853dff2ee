"""Random changes to raw images, and classes that are left out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bmx.data.arrays import Arrays, Source
from bmx.data.augmentation import CropFlip, Jitter
from bmx.data.pipeline.prepare import prepare
from bmx.data.spec import DataSpec
from bmx.errors import UsageError


@given(st.integers(0, 1000), st.integers(0, 3))
def test_jitter_moves_each_image_by_whole_pixels(seed, pixels):
    torch.manual_seed(seed)
    raw = torch.randint(1, 256, (5, 2, 6, 7), dtype=torch.uint8)
    before = raw.clone()
    moved = Jitter(pixels)(raw)
    assert moved.shape == raw.shape and moved.dtype == raw.dtype and torch.equal(raw, before)
    padded = torch.nn.functional.pad(raw, [pixels] * 4)
    for image, whole in zip(moved, padded, strict=True):
        windows = [whole[:, y : y + 6, x : x + 7] for y in range(2 * pixels + 1) for x in range(2 * pixels + 1)]
        assert any(torch.equal(image, window) for window in windows)


def test_every_shift_is_as_likely():
    torch.manual_seed(0)
    raw = torch.zeros(5000, 1, 5, 5, dtype=torch.uint8)
    raw[:, :, 2, 2] = 255
    moved = Jitter(1)(raw)
    where = (moved == 255).sum((0, 1))
    assert where.sum() == 5000 and (where[1:4, 1:4] > 450).all()


def test_crop_flip_mirrors_half():
    torch.manual_seed(0)
    raw = torch.arange(4, dtype=torch.float32).view(1, 1, 1, 4).repeat(2000, 1, 1, 1)
    out = CropFlip(0)(raw)
    mirrored = (out == raw.flip(3)).all(3).flatten()
    assert (mirrored | (out == raw).all(3).flatten()).all()
    assert 900 < mirrored.sum() < 1100


def test_the_random_state_decides():
    raw = torch.randint(256, (8, 1, 6, 6), dtype=torch.uint8)
    torch.manual_seed(3)
    first = CropFlip(2)(raw)
    torch.manual_seed(3)
    assert torch.equal(CropFlip(2)(raw), first)
    assert not torch.equal(CropFlip(2)(raw), first)


def test_fewer_than_no_pixels():
    with pytest.raises(ValueError, match="pixels must be 0 or more"):
        Jitter(-1)


def toy(labels=("zero", "one", "two")):
    targets = torch.arange(30) % 3
    spec = DataSpec(name="toy", kind="table", input_shape=(1,), num_classes=3, labels=labels)
    return Source(Arrays(torch.arange(30.0).view(-1, 1), targets), Arrays(torch.zeros(6, 1), targets[:6]), spec)


@pytest.mark.parametrize("named", [[1], ["one"]])
def test_classes_left_out_of_training_and_validation_stay_in_the_test_set(named):
    data = prepare(toy(), 0.2, 0, named)
    assert set(data.train.targets.tolist()) == set(data.val.targets.tolist()) == {0, 2}
    assert len(data.train) + len(data.val) == 20
    assert torch.equal(data.train.inputs[:, 0] % 3, data.train.targets.float())
    assert set(data.test.targets.tolist()) == {0, 1, 2}
    assert data.fingerprint == prepare(toy()).fingerprint


@pytest.mark.parametrize("named", [[3], ["tow"], [-1]])
def test_a_class_that_does_not_exist(named):
    with pytest.raises(UsageError, match="no class"):
        prepare(toy(), 0.2, 0, named)


def test_no_class_left():
    with pytest.raises(UsageError, match="no training sample is left"):
        prepare(toy(), 0.2, 0, [0, 1, 2])
