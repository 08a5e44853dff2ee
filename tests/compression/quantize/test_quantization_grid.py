"""Rounding to grids, against numbers worked out by hand and against its own promises."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bmx.compression.quantize import quantization_grid
from bmx.compression.quantize.layers import DynamicGrid, StoredWeights


def test_weights_by_hand():
    # Largest 1.27, so the step is 0.01; 0.126 is 12.6 steps. Halves (0.625 with a step of 0.25) go to the even one.
    groups = torch.tensor([[[1.27, -0.126, 0.0]], [[31.75, 0.625, -0.875]]])
    scale = quantization_grid.weight_scale(groups, 8)
    torch.testing.assert_close(scale, torch.tensor([[0.01], [0.25]]))
    assert quantization_grid.weight_codes(groups, torch.tensor([[0.01], [0.25]]), 8).tolist() == [
        [[127, -13, 0]],
        [[127, 2, -4]],
    ]


def test_four_bits_by_hand():
    # Largest 3.5, so the step is 0.5, and -4 is still on the grid.
    groups = torch.tensor([[[3.5, -4.0, 1.2, -0.2]]])
    scale = torch.tensor([[0.5]])
    assert quantization_grid.weight_codes(groups, scale, 4).tolist() == [[[7, -8, 2, 0]]]


def test_an_activation_grid_by_hand():
    assert quantization_grid.activation_grid(0.0, 2.55) == (pytest.approx(0.01), 0)
    assert quantization_grid.activation_grid(-1.0, 1.55) == (pytest.approx(0.01), 100)
    assert quantization_grid.activation_grid(0.5, 2.55) == (pytest.approx(0.01), 0), "zero must be on the grid"
    assert quantization_grid.activation_grid(0.0, 0.0) == (1.0, 0)


def test_activations_by_hand():
    x = torch.tensor([-3.0, -0.26, 0.0, 0.25, 0.75, 1.0, 99.0])
    on = quantization_grid.on_grid(x, torch.tensor(0.5), torch.tensor(2))
    # Steps of 0.5 from -1 (code 0) to 126.5 (code 255); 0.25 and 0.75 lie halfway and go to even codes.
    assert on.tolist() == [-1.0, -0.5, 0.0, 0.0, 1.0, 1.0, 99.0]
    assert quantization_grid.on_grid(torch.tensor([127.0]), torch.tensor(0.5), torch.tensor(2)).item() == 126.5


def test_packing_by_hand():
    # -8 is stored as 0 and 7 as 15; the first of a pair is in the low half.
    assert quantization_grid.pack(torch.tensor([[-8, 7, 0, -1]], dtype=torch.int8)).tolist() == [[0xF0, 0x78]]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-8, 7), min_size=1, max_size=40))
def test_packing_and_back(codes):
    codes = torch.tensor([codes * 2], dtype=torch.int8)
    packed = quantization_grid.pack(codes)
    assert packed.dtype == torch.uint8 and packed.shape[1] == codes.shape[1] // 2
    assert torch.equal(quantization_grid.unpack(packed), codes)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-50, 0, width=32),
    st.floats(0.015625, 50, width=32),
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20),
)
def test_activations_are_off_by_half_a_step_at_most(low, high, parts):
    scale, zero = quantization_grid.activation_grid(low, high)
    # The zero point is whole, so the grid may end up to half a step before the range does.
    ends = torch.tensor([(0 - zero) * scale, (255 - zero) * scale])
    x = (low + torch.tensor(parts) * (high - low)).clamp(float(ends[0]), float(ends[1]))
    on = quantization_grid.on_grid(x, torch.tensor(scale), torch.tensor(zero))
    assert ((x - on).abs() <= scale / 2 * (1 + 1e-3)).all()
    assert quantization_grid.on_grid(torch.zeros(1), torch.tensor(scale), torch.tensor(zero)).item() == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([8, 4]), st.sampled_from([0, 16]))
def test_weights_are_off_by_half_a_step_at_most(seed, bits, group):
    weight = torch.randn(3, 20, generator=torch.Generator().manual_seed(seed))
    clip = torch.ones(quantization_grid.grouped(weight, group).shape[:2])
    stored = StoredWeights.of(weight, bits, group, clip)
    off = quantization_grid.grouped((stored() - weight).abs(), group)
    assert (off <= stored.scale.unsqueeze(-1) / 2 * (1 + 1e-5)).all()
    assert (stored() == quantization_grid.weights_on_grid(weight, bits, group, clip)).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_weights_on_the_grid_stay_exactly(seed):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(-127, 128, (4, 9), generator=generator)
    codes[:, 0] = 127
    scale = 2.0 ** torch.randint(-8, 3, (4, 1), generator=generator)
    assert torch.equal(StoredWeights.of(codes * scale, 8, 0, torch.ones(4, 1))(), codes * scale)


def test_zeros_have_a_grid_too():
    stored = StoredWeights.of(torch.zeros(2, 5), 8, 0, torch.ones(2, 1))
    assert not stored().any() and stored.scale.isfinite().all()


def test_clipping_pays_at_four_bits():
    groups = torch.randn(8, 1, 256, generator=torch.Generator().manual_seed(0))

    def error(clip):
        scale = quantization_grid.weight_scale(groups, 4, clip)
        return (quantization_grid.weight_codes(groups, scale, 4) * scale.unsqueeze(-1) - groups).square().sum(-1)

    assert (error(quantization_grid.best_clip(groups, 4)) < error(1.0)).all()


def test_gradients_pass_straight_through_inside_the_grid():
    x = torch.tensor([-9.0, -0.3, 0.0, 0.7, 500.0], requires_grad=True)
    quantization_grid.on_grid(x, torch.tensor(0.5), torch.tensor(2)).backward(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert x.grad.tolist() == [0.0, 2.0, 3.0, 4.0, 0.0]
    weight = torch.randn(2, 32, requires_grad=True)
    upstream = torch.randn(2, 32)
    quantization_grid.weights_on_grid(weight, 8, 0, torch.ones(2, 1)).backward(upstream)
    assert torch.equal(weight.grad, upstream)


def test_a_dynamic_grid_spans_the_batch():
    x = torch.tensor([[-1.0, 0.5, 1.55]])
    torch.testing.assert_close(DynamicGrid()(x), x)
    assert not DynamicGrid()(torch.zeros(2, 2)).any()
