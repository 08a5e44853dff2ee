"""The mathematics of the rules: what they say is lost is what is lost."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bmx.compression.low_rank import spectra
from bmx.compression.low_rank.curvature import TEMPERATURE, measure_curvature
from bmx.compression.low_rank.factorizable_layers import find_targets
from tests.compression.low_rank_nets import context, convolutional, images, perceptron, rows


def look(net, inputs, **fields):
    given_context = context(inputs, **fields)
    targets = find_targets(net, given_context.example).targets
    return targets, measure_curvature(net, targets, given_context, len(inputs))


def test_statistics_of_a_linear_layer_by_hand():
    net, x = perceptron(), rows()
    targets, curvature = look(net, x)
    y = x @ net[0].weight.T
    found = curvature["0"]
    torch.testing.assert_close(found.spread(False).float(), y.T @ y / len(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.spread(True).float(), torch.cov(y.T, correction=0), rtol=1e-3, atol=1e-5)
    assert list(targets) == ["0", "2", "4"]


def test_the_fisher_information_of_the_logits_is_that_of_a_softened_softmax():
    net, x = perceptron(), rows(20_000)
    p = (net(x) / TEMPERATURE).softmax(1)
    expected = torch.diag(p.mean(0)) - p.T @ p / len(x)
    _, curvature = look(net, x)
    torch.testing.assert_close(curvature["4"].fisher().float(), expected, rtol=0, atol=0.01)


def test_the_fisher_information_of_a_regression_is_that_of_a_normal_distribution():
    net, x = nn.Sequential(nn.Linear(20, 8), nn.Linear(8, 1)).eval(), rows(20_000)
    _, curvature = look(net, x, classes=0)
    w = net[1].weight.detach()
    torch.testing.assert_close(curvature["0"].fisher().float(), w.T @ w, rtol=0.03, atol=1e-3)


def test_positions_of_a_convolution_are_added_up_within_a_sample():
    net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Flatten(), nn.Linear(6 * 100, 1)).eval()
    x = images(4000)
    _, curvature = look(net, x, classes=0)
    w = net[2].weight.detach().view(6, 100)
    torch.testing.assert_close(curvature["0"].fisher().float(), w @ w.T, rtol=0.08, atol=1e-3)
    assert curvature["0"].positions == 4000 * 100


@pytest.mark.parametrize("rank", [1, 3, 7])
def test_the_error_of_the_outputs_is_what_the_data_aware_rule_says(rank):
    net, x = convolutional(), images()
    targets, curvature = look(net, x)
    for name, bias in (("0", True), ("2", False)):
        spectrum = spectra.of_output(targets[name], curvature[name])
        layer = net.get_submodule(name)
        given = []
        layer.register_forward_hook(lambda m, i, o, given=given: given.append((i[0], o.clone())))
        net(x)
        into, y = given[0]
        first, second = spectrum.factors(rank)
        cut = nn.utils.skip_init(nn.Conv2d, layer.in_channels, layer.out_channels, 3, layer.stride, layer.padding,
                                 padding_mode=layer.padding_mode)  # fmt: skip
        cut.weight.data = (second @ first).float().view_as(layer.weight)
        cut.bias.data = spectrum.bias(rank, layer.bias).float() if bias else torch.zeros(len(layer.weight))
        error = (cut(into) - y).movedim(1, -1).flatten(0, -2)
        torch.testing.assert_close(error.square().sum(1).mean(), spectrum.lost()[rank].float(), rtol=1e-3, atol=1e-5)
        if bias:
            assert error.mean(0).abs().max() < 1e-5, "the bias takes up the mean"


@pytest.mark.parametrize("rank", [1, 4, 9])
def test_the_loss_aware_rule_minimises_what_it_predicts(rank):
    net, x = perceptron(), rows()
    targets, curvature = look(net, x)
    w = targets["2"].matrix
    g = curvature["2"].fisher()
    g = g + 1e-4 * g.diag().mean() * torch.eye(len(g))
    h = net[:2](x)
    c = (h.T @ h / len(h)).double().detach()

    def predicted(weight):
        d = w - weight
        return float(torch.trace(g @ d @ c @ d.T)) / 2

    spectrum = spectra.of_loss(targets["2"], curvature["2"])
    first, second = spectrum.factors(rank)
    assert predicted(second @ first) == pytest.approx(float(spectrum.lost()[rank]), rel=1e-3)
    for other in (spectra.of_weight(targets["2"]), spectra.of_output(targets["2"], curvature["2"])):
        a, b = other.factors(rank)
        assert predicted(b @ a) >= predicted(second @ first) * (1 - 1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(-6, 6), st.integers(0, 99))
def test_factors_are_balanced_and_their_product_stays(outputs, inputs, rank, scale, seed):
    draw = torch.Generator().manual_seed(seed)
    left = torch.randn(outputs, rank, generator=draw, dtype=torch.float64) * 10.0**scale
    right = torch.randn(rank, inputs, generator=draw, dtype=torch.float64)
    first, second = spectra.balanced(left, right)
    product = left @ right
    torch.testing.assert_close(second @ first, product, rtol=1e-9, atol=1e-9 * float(product.abs().max()))
    torch.testing.assert_close(first @ first.T, second.T @ second, rtol=1e-6, atol=1e-9 * float(product.abs().max()))


def test_the_same_seed_gives_the_same_statistics_and_leaves_the_generator_alone():
    net, x = perceptron(), rows()
    state = torch.get_rng_state()
    one, again = (look(net, x)[1]["0"].gradients for _ in range(2))
    assert torch.equal(one, again)
    assert not torch.equal(one, look(net, x, seed=1)[1]["0"].gradients)
    assert torch.equal(torch.get_rng_state(), state)
