"""What holds for every layer and every model."""

import copy

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bmx.measure.macs import count_macs, macs_by_module

small = st.integers(1, 4)


@given(small, small, st.integers(1, 3), st.integers(1, 2), st.integers(0, 2), st.integers(1, 2), st.integers(1, 3))
@settings(max_examples=30)
def test_convolutions(groups: int, out: int, kernel: int, stride: int, padding: int, dilation: int, batch: int) -> None:
    conv = nn.Conv2d(2 * groups, out * groups, kernel, stride, padding, dilation, groups)
    x = torch.zeros(batch, 2 * groups, 9, 8)
    height, width = conv(x).shape[2:]
    assert count_macs(conv, x) == batch * height * width * out * groups * 2 * kernel**2


@given(small, small, st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=20)
def test_transposed_convolutions(inside: int, out: int, kernel: int, stride: int) -> None:
    conv = nn.ConvTranspose2d(inside, out, kernel, stride)
    assert count_macs(conv, torch.zeros(1, inside, 5, 6)) == 5 * 6 * inside * out * kernel**2


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), small, small)
@settings(max_examples=30)
def test_linear_layers_on_any_shape(shape: list[int], inside: int, out: int) -> None:
    macs = count_macs(nn.Linear(inside, out), torch.zeros(*shape, inside))
    assert macs == torch.Size(shape).numel() * inside * out


def test_layers_add_up_and_the_batch_multiplies() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.Flatten(), nn.Linear(72, 5)), nn.Linear(5, 2))
    found = macs_by_module(net, torch.zeros(1, 1, 8, 8))
    assert found == {"0": 36 * 18, "1.1": 360, "2": 10}
    assert count_macs(net, torch.zeros(3, 1, 8, 8)) == 3 * sum(found.values())


def test_a_module_that_is_called_twice_counts_twice() -> None:
    shared = nn.Linear(4, 4)
    assert count_macs(nn.Sequential(shared, nn.ReLU(), shared), torch.zeros(1, 4)) == 32


def test_the_model_is_left_alone() -> None:
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)).train()
    before = copy.deepcopy(net.state_dict())
    fast_path = torch.backends.mha.get_fastpath_enabled()
    count_macs(net, torch.ones(2, 4))
    assert net.training and net[0].weight.device.type == "cpu" and net[0].weight.requires_grad
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert torch.backends.mha.get_fastpath_enabled() == fast_path
