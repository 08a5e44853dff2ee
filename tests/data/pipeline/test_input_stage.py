import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bmx.data.arrays import Arrays
from bmx.data.pipeline.input_stage import InputStage, statistics
from bmx.data.pipeline.prepare import prepare
from bmx.data.spec import DataSpec
from bmx.data.synthetic import synthetic

IMAGE = DataSpec("pictures", "image", (3, 5, 4), 2)
TABLE = DataSpec("rows", "table", (3,), 2)
TOKENS = DataSpec("words", "tokens", (6,), 2, vocab_size=300)


def pictures(count=450, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 3, 5, 4), generator=generator, dtype=torch.uint8)
    images[:, 1] //= 3
    return Arrays(images, torch.zeros(count, dtype=torch.int64))


def rows(count=450):
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(count, 3, generator=generator) * torch.tensor([1.0, 30.0, 1e-3]) + torch.tensor([5.0, 0, 1e3])
    return Arrays(table, torch.zeros(count, dtype=torch.int64))


@given(st.integers(1, 700), st.integers(1, 3), st.integers(0, 2**31))
def test_statistics_of_images_are_those_of_the_whole_at_once(count, channels, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, channels, 3, 2), generator=generator, dtype=torch.uint8)
    mean, std = statistics(images)
    whole = images.double()
    torch.testing.assert_close(mean, whole.mean((0, 2, 3)), rtol=1e-12, atol=0)
    torch.testing.assert_close(std, whole.std((0, 2, 3), correction=0), rtol=1e-10, atol=1e-10)


def test_statistics_of_tables_are_those_of_the_whole_at_once():
    table = rows().inputs
    mean, std = statistics(table)
    torch.testing.assert_close(mean, table.double().mean(0), rtol=1e-12, atol=0)
    torch.testing.assert_close(std, table.double().std(0, correction=0), rtol=1e-10, atol=0)


def test_float_images_are_measured_like_uint8_ones():
    images = pictures().inputs
    for exact, measured in zip(statistics(images), statistics(images.float()), strict=True):
        torch.testing.assert_close(measured, exact, rtol=1e-10, atol=0)


def test_the_training_split_comes_out_with_mean_zero_and_deviation_one():
    for spec, arrays, dims in ((IMAGE, pictures(), (0, 2, 3)), (TABLE, rows(), (0,))):
        out = InputStage.fitted(spec, arrays)(arrays.inputs)
        assert out.dtype == torch.float32
        # 1e3 with a deviation of 1e-3 leaves float32 three digits.
        torch.testing.assert_close(out[:, :2].mean(dims), torch.zeros(2), rtol=0, atol=1e-5)
        torch.testing.assert_close(out[:, :2].std(dims, correction=0), torch.ones(2), rtol=0, atol=1e-5)


def test_what_is_held_out_does_not_move_the_statistics():
    source = synthetic(samples=400, test_samples=50, shape=(1, 6, 6), classes=4)
    data = prepare(source, 0.25, seed=3)
    stage = InputStage.fitted(data.spec, data.train)
    mean = data.train.inputs.double().mean()
    std = data.train.inputs.double().std(correction=0)
    torch.testing.assert_close(stage.scale.double().squeeze(), 1 / std, rtol=1e-6, atol=0)
    torch.testing.assert_close(stage.shift.double().squeeze(), -mean / std, rtol=1e-6, atol=0)
    assert abs(mean - source.train.inputs.double().mean()) > 1e-3


def test_a_channel_or_feature_that_never_changes_is_only_shifted():
    images = pictures()
    images.inputs[:, 2] = 77
    stage = InputStage.fitted(IMAGE, images)
    assert stage.scale[2].item() == 1
    assert stage(images.inputs)[:, 2].abs().max() == 0
    table = rows()
    table.inputs[:, 1] = 0.1
    stage = InputStage.fitted(TABLE, table)
    assert stage.scale[1].item() == 1
    assert stage(table.inputs)[:, 1].abs().max() < 1e-6


def test_token_ids_are_widened_and_nothing_else():
    for dtype in (torch.uint8, torch.int16, torch.int32):
        ids = torch.tensor([[0, 1, 200]]).to(dtype)
        stage = InputStage.fitted(TOKENS, Arrays(ids, torch.zeros(1, dtype=torch.int64)))
        assert stage(ids).dtype == torch.int64
        assert stage(ids).tolist() == [[0, 1, 200]]
        assert stage.state_dict() == {}


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_result_has_the_dtype_of_the_buffers(dtype):
    for spec, arrays in ((IMAGE, pictures()), (TABLE, rows())):
        stage = InputStage.fitted(spec, arrays)
        expected = stage(arrays.inputs)[:, :2]
        out = copy.deepcopy(stage).to(dtype)(arrays.inputs)[:, :2]
        assert out.dtype == dtype
        torch.testing.assert_close(out.float(), expected, rtol=0.02, atol=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_batch_itself_is_left_alone(dtype):
    table = rows().inputs.to(dtype)
    before = table.clone()
    InputStage.fitted(TABLE, rows())(table)
    assert torch.equal(table, before)


def test_gradients_reach_the_pixels():
    x = torch.rand(2, 3, 5, 4, requires_grad=True)
    stage = InputStage.fitted(IMAGE, pictures())
    stage(x).sum().backward()
    torch.testing.assert_close(x.grad, stage.scale.expand_as(x))


def test_statistics_travel_in_the_state_dict():
    stage = InputStage.fitted(IMAGE, pictures())
    again = InputStage(IMAGE)
    assert not torch.equal(again.scale, stage.scale)
    again.load_state_dict(stage.state_dict())
    batch = pictures(4, seed=1).inputs
    assert torch.equal(again(batch), stage(batch))
    assert list(stage.parameters()) == []
