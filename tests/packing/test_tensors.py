"""Tensors come back bit for bit, and those of compressed nets take little room."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bmx.packing.coder import RangeDecoder, RangeEncoder
from bmx.packing.maps import read_map, write_map
from bmx.packing.tensors import decode, encode, total_bytes

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)
FEW = st.sampled_from([0.0, -0.0, 1.5, -2.25, 1e-30, math.inf])


def same(a, b):
    """Equal in shape, type and every bit, for numbers that are not equal to themselves too."""
    raw = [t.contiguous().view(-1).view(torch.uint8) if t.numel() else t for t in (a.reshape(-1), b.reshape(-1))]
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(*raw)


def back(*tensors):
    return decode(encode(tensors), [t.to("meta") for t in tensors])


@given(hnp.arrays(np.float32, SHAPES, elements=FEW))
@example(np.zeros((0, 3), np.float32))
@example(np.zeros((7, 5), np.float32))
@example(np.full((7, 5), 3.0, np.float32))
@example(np.array(2.0, np.float32))
@example(np.array([math.nan, 0.0, -math.nan], np.float32))
def test_few_values(array):
    tensor = torch.from_numpy(array)
    assert same(back(tensor)[0], tensor)


@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(width=32)), st.floats(0, 1), st.integers(0, 99))
def test_any_values(array, share, seed):
    tensor = torch.from_numpy(array)
    tensor[torch.rand(tensor.shape, generator=torch.Generator().manual_seed(seed)) < share] = 0
    assert same(back(tensor)[0], tensor)


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.uint8, torch.int64, torch.bool]
)
def test_any_type(dtype):
    generator = torch.Generator().manual_seed(0)
    tensor = torch.randint(-3, 4, (6, 7), generator=generator).to(dtype)
    wide = (1000 * torch.randn(300, generator=generator)).to(dtype)
    assert all(same(a, b) for a, b in zip(back(tensor, wide), (tensor, wide), strict=True))


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=12)))
def test_maps(places):
    encoder = RangeEncoder()
    write_map(encoder, places)
    assert np.array_equal(read_map(RangeDecoder(encoder.finish()), *places.shape), places)


def test_several_tensors_in_order():
    tensors = [torch.randn(4, 4), torch.zeros(3, 3), torch.tensor([1, 2, 3]), torch.eye(9), torch.randn(5)]
    assert all(same(a, b) for a, b in zip(back(*tensors), tensors, strict=True))


def pruned_and_shared(sparsity=0.97, values=16):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randint(0, values, (200, 500), generator=generator).float() / 8 - 1.05
    gone = torch.rand(200, 500, generator=generator) < sparsity
    return weight.half().float().masked_fill(gone, 0)  # a product would leave minus zeros


def test_pruned_and_shared_weights_take_no_more_than_their_entropy():
    weight = pruned_and_shared()
    filled = int(weight.count_nonzero())
    share = filled / weight.numel()
    entropy = weight.numel() * -sum(p * math.log2(p) for p in (share, 1 - share)) + filled * 4
    assert total_bytes({"w": weight}) < entropy / 8 * 1.02 + 100


def test_empty_rows_and_columns_cost_next_to_nothing():
    weight = pruned_and_shared()
    half = weight.clone()
    half[::2] = 0
    half[:, 250:] = 0
    assert total_bytes({"w": half}) < 0.3 * total_bytes({"w": weight})


def test_pruned_weights_that_are_not_shared_keep_their_numbers_only():
    weight = torch.randn(200, 500).masked_fill(torch.rand(200, 500) < 0.97, 0)
    assert total_bytes({"w": weight}) < 4.0 * weight.count_nonzero() + 100_000 * 0.21 / 8


def test_dense_numbers_take_no_more_than_they_have():
    assert total_bytes({"w": torch.randn(100, 100)}) <= 40_000 + 10


def test_bytes_of_another_model_are_refused():
    data = encode([torch.randn(4, 4), torch.randn(3)])
    with pytest.raises(ValueError, match="too early"):
        decode(data, [torch.empty(5, 5), torch.empty(3)])
    with pytest.raises(ValueError, match="left over"):
        decode(data, [torch.empty(4, 4)])


@given(st.binary(max_size=60))
def test_nonsense_is_refused_or_read_but_never_breaks_otherwise(data):
    like = [torch.empty(3, 4), torch.empty(5, dtype=torch.int64), torch.empty(2, 2, dtype=torch.bool)]
    try:
        tensors = decode(data, like)
    except ValueError:
        return
    assert [t.shape for t in tensors] == [t.shape for t in like]
