"""Any depth, width and image that fits builds and runs; what does not fit is refused with the facts."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from bmx.models.cnn import CNN, StagePlan, plan_stages
from bmx.models.layers.activations import ACTIVATIONS, MONOTONE, activation, pool_and_activation
from bmx.models.layers.features import BagOfTokens
from bmx.models.lenet5 import LeNet5
from bmx.models.linear import Linear
from bmx.models.mlp import MLP
from bmx.models.transformer import Transformer
from bmx.models.vit import ViT

few = settings(max_examples=30, deadline=None)
sides = st.integers(1, 32)


@few
@given(st.integers(1, 4), sides, sides, st.integers(1, 12))
def test_lenet5_pads_any_image_up_to_32(channels, height, width, classes):
    model = LeNet5((channels, height, width), classes).eval()
    x = torch.randn(2, channels, height, width)
    top, left = (32 - height) // 2, (32 - width) // 2
    padded = F.pad(x, (left, 32 - width - left, top, 32 - height - top))
    whole = LeNet5((channels, 32, 32), classes).eval()
    whole.load_state_dict(model.state_dict())
    torch.testing.assert_close(model(x), whole(padded), rtol=1e-4, atol=1e-5)
    assert model(x).shape == (2, classes)


def test_lenet5_pads_mnist_inside_its_convolution():
    assert LeNet5((1, 28, 28), 10).features.conv1.padding == (2, 2)
    assert not hasattr(LeNet5((1, 28, 28), 10).features, "pad")


@pytest.mark.parametrize("shape", [(1, 33, 32), (3, 64, 64), (40,), (1, 28)])
def test_lenet5_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=re.escape(str(shape))):
        LeNet5(shape, 10)


@few
@given(
    st.integers(1, 3),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 6),
    st.integers(1, 5),
    st.integers(0, 2),
    st.sampled_from([0.5, 1.0, 1.7]),
    st.booleans(),
    st.sampled_from([0, 7]),
)
def test_cnn_runs_or_names_the_largest_depth(channels, height, width, depth, kernel, padding, multiplier, norm, hidden):
    shape = (channels, height, width)
    fields = {"width": 3, "kernel_size": kernel, "padding": padding, "multiplier": multiplier}
    fields |= {"batch_norm": norm, "hidden": hidden}
    x = torch.empty(2, *shape, device="meta")
    try:
        model = CNN(shape, 4, depth=depth, **fields)
    except ValueError as error:
        named = re.search(r"the largest depth is (\d+)", str(error))
        if named is None:
            assert "not even one stage" in str(error) and kernel % 2 == 0
            with pytest.raises(ValueError):
                CNN(shape, 4, depth=1, **fields)
            return
        largest = int(named[1])
        assert largest < depth and kernel % 2 == 0
        with pytest.raises(ValueError):
            CNN(shape, 4, depth=largest + 1, **fields)
        model = CNN(shape, 4, depth=largest, **fields)
    assert model.to("meta")(x).shape == (2, 4)


def test_cnn_with_an_even_kernel_names_the_deepest_that_fits():
    with pytest.raises(ValueError, match="the largest depth is 3"):
        CNN((1, 28, 28), 10, depth=4, kernel_size=2, padding=0)
    CNN((1, 28, 28), 10, depth=3, kernel_size=2)


def test_a_deeper_cnn_pools_less_often_than_it_convolves():
    assert plan_stages((28, 28), 3, 3, 0) == StagePlan((True, True, True), 0, (1, 1))
    # 28 -> 14 -> 7 -> 3 in eight stages: after the 3rd, the 6th and the 8th.
    deep = plan_stages((28, 28), 8, 3, 0)
    assert deep == StagePlan((False, False, True, False, False, True, False, True), 1, (3, 3))
    model = CNN((1, 28, 28), 10, depth=8, width=4)
    assert [stage.conv.out_channels for stage in model.features] == [4, 4, 4, 8, 8, 8, 16, 16]
    assert plan_stages((1, 1), 2, 3, 0) == StagePlan((False, False), 1, (1, 1))


@pytest.mark.parametrize(
    "fields",
    [
        {"depth": 0},
        {"depth": 1.5},
        {"width": 0},
        {"kernel_size": 0},
        {"padding": -1},
        {"hidden": -1},
        {"multiplier": 0.0},
        {"multiplier": "wide"},
        {"padding": "same"},
        {"width": True},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"activation": "rely"},
        {"pool": "mean"},
    ],
)
def test_cnn_refuses_fields_out_of_range(fields):
    with pytest.raises(ValueError, match=next(iter(fields)).replace("pool", "pooling")):
        CNN((1, 28, 28), 10, **fields)


@few
@given(st.lists(st.integers(1, 9), max_size=4), st.sampled_from(sorted(ACTIVATIONS)), st.integers(1, 5))
def test_mlp_has_the_widths_it_is_given(hidden, name, classes):
    model = MLP((2, 3, 3), classes, hidden, name)
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    assert [m.out_features for m in layers] == [*hidden, classes]
    assert model(torch.randn(2, 2, 3, 3)).shape == (2, classes)


@pytest.mark.parametrize("hidden", [300, "300", [0], [10, -1], [2.5]])
def test_mlp_refuses_bad_widths(hidden):
    with pytest.raises(ValueError, match="hidden"):
        MLP((4,), 3, hidden)


def test_linear_is_the_product_with_its_weights():
    model = Linear((2,), 2, num_classes=1)
    x = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    torch.testing.assert_close(model(x), x @ model.head.weight.T + model.head.bias)
    with pytest.raises(ValueError, match="num_classes"):
        Linear((2,), 0)


def test_bag_of_tokens_counts_what_is_not_a_pad():
    bag = BagOfTokens(5, pad_id=0)(torch.tensor([[1, 3, 3, 4, 0, 0], [0, 0, 0, 0, 0, 0]]))
    torch.testing.assert_close(bag, torch.tensor([[0, 0.25, 0, 0.5, 0.25], [0, 0, 0, 0, 0]]))


@few
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 9), st.sampled_from(["cls", "mean"]))
def test_vit_covers_any_grid_of_patches(channels, rows, columns, patch, pooling):
    shape = (channels, rows * patch, columns * patch)
    model = ViT(shape, 3, patch, depth=1, width=8, heads=2, pooling=pooling)
    assert model.position.shape[1] == rows * columns + (pooling == "cls")
    assert model(torch.randn(2, *shape)).shape == (2, 3)


def test_vit_names_the_patches_that_fit():
    with pytest.raises(ValueError, match=r"does not divide images of 28x20; these do: 1, 2, 4$"):
        ViT((1, 28, 20), 10, patch_size=5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pooling": "clss"}, "did you mean 'cls'"),
        ({"width": 30, "heads": 4}, "multiple of heads"),
        ({"depth": 0}, "depth"),
        ({"heads": 0}, "heads"),
        ({"mlp_ratio": 0.0}, "mlp_ratio"),
        ({"mlp_ratio": float("nan")}, "mlp_ratio"),
        ({"dropout": 2}, "dropout"),
        ({"activation": "gellu"}, "did you mean 'gelu'"),
    ],
)
def test_encoders_refuse_fields_out_of_range(fields, message):
    with pytest.raises(ValueError, match=message):
        ViT((1, 28, 28), 10, **fields)
    with pytest.raises(ValueError, match=message):
        Transformer(20, 10, 3, **fields)


@pytest.mark.parametrize("pool", ["max", "avg"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_pooling_and_activation_mean_activation_first(name, pool):
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64) * 3
    first, second = pool_and_activation(pool, name)
    pooling = F.max_pool2d if pool == "max" else F.avg_pool2d
    torch.testing.assert_close(second(first(x)), pooling(activation(name)(x), 2))
    assert isinstance(first, (torch.nn.MaxPool2d, torch.nn.AvgPool2d)) == (pool == "max" and name in MONOTONE)


def test_unknown_activation_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'leaky_relu'"):
        activation("leakyrelu")
