"""The penalties' gradients against autograd on the penalty itself."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bmx.optim.penalties import Penalties


@given(st.floats(0, 1), st.floats(0, 1))
def test_gradient_is_that_of_the_penalised_loss(l1, l2):
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    x = torch.randn(5, 3)
    loss = net(x).square().mean()
    weight = net.weight
    (expected,) = torch.autograd.grad(loss + l1 * weight.abs().sum() + l2 / 2 * weight.square().sum(), weight)
    net(x).square().mean().backward()
    penalties = Penalties(net.parameters(), l1, l2)
    penalties.add_gradients()
    torch.testing.assert_close(weight.grad, expected)
    torch.testing.assert_close(penalties.value(), l1 * weight.abs().sum() + l2 / 2 * weight.square().sum())


def test_biases_are_spared():
    net = nn.Linear(3, 2)
    net(torch.randn(4, 3)).sum().backward()
    before = net.bias.grad.clone()
    Penalties(net.parameters(), 1.0, 1.0).add_gradients()
    assert torch.equal(net.bias.grad, before)


def test_nothing_to_do_is_inactive_and_negative_is_refused():
    assert not Penalties(nn.Linear(2, 2).parameters()).active
    with pytest.raises(ValueError, match="l1"):
        Penalties([], l1=-1)
