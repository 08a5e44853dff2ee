"""8-bit versions of nets of many kinds: nothing but rounding changes them, and ties stay ties."""

import pytest
import torch
from torch import nn

from bmx.compression.quantize import quantization_grid
from bmx.compression.quantize.batch_norm_folding import fold, foldable
from bmx.compression.quantize.layers import QuantizedConv
from bmx.compression.quantize.method import Quantize
from bmx.compression.rebuild import rebuild
from bmx.data.spec import DataSpec
from tests.compression.kinds_of_nets import CLASSES, KINDS, SHAPE, made
from tests.compression.quantising import context

SPEC = DataSpec("noise", "image", SHAPE, CLASSES)

# The normalisations that may go into a convolution; all others stay.
FOLDED = {"BatchNorms": {"norm2": "middle"}}


def samples(n=32, seed=1):
    return torch.randn(n, *SHAPE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("word", KINDS)
def test_only_what_changes_nothing_is_folded(word):
    net, x = made(word), samples()
    names = [name for name, module in net.named_modules() if type(module) in (nn.Conv2d, nn.Linear)]
    found = foldable(net, names, x)
    assert found == FOLDED.get(word, {})
    with torch.no_grad():
        before = net(x)
        fold(net, found)
        torch.testing.assert_close(net(x), before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("word", KINDS)
def test_eight_bits_are_near_the_floats_and_load_again(word):
    net, x = made(word), samples()
    outcome = Quantize(observer="minmax", range="full")(net, context(net, x, SPEC))
    with torch.no_grad():
        near = (outcome.net(x) - net(x)).abs().max() / net(x).abs().max()
    assert near < 0.12, f"off by {100 * near:.0f} %"
    again = rebuild(KINDS[word]().eval(), outcome.recipe)
    again.load_state_dict(outcome.net.state_dict())
    again.eval()
    with torch.no_grad():
        assert torch.equal(again(x), outcome.net(x))
    assert len(list(again.parameters())) == len(list(outcome.net.parameters()))


@pytest.mark.parametrize("qat", [False, True])
def test_a_shared_weight_is_rounded_once(qat):
    net, x = made("Tied"), samples()
    given = context(net, x, SPEC)
    outcome = Quantize(qat=qat)(net, given)
    if qat:
        assert outcome.net.one.weights is outcome.net.two.weights
        outcome = outcome.finish(outcome.net, given)
    assert outcome.net.one.weights is outcome.net.two.weights
    again = rebuild(rebuild(KINDS["Tied"]().eval(), outcome.recipe), [])
    assert again.one.weights is again.two.weights
    again.load_state_dict(outcome.net.state_dict())
    codes = [p for p in outcome.net.parameters() if p.dtype == torch.int8]
    assert sum(c.numel() for c in codes) == 24 * 1024 + 24 * 24 + 24 * CLASSES


@pytest.mark.parametrize("qat", [False, True])
def test_a_bias_that_is_large_beside_its_weights_is_kept(qat):
    """Weights that a decay has made tiny: their grid becomes wider until the integers of the bias hold it."""
    net, x = made("Plain"), samples()
    with torch.no_grad():
        net.middle.weight.mul_(1e-9)
        net.middle.bias.fill_(5.0)
    given = context(net, x, SPEC)
    outcome = Quantize(qat=qat)(net, given)
    if qat:
        outcome = outcome.finish(outcome.net, given)
    layer = outcome.net.middle
    assert isinstance(layer, QuantizedConv)
    torch.testing.assert_close(layer.added, torch.full((16,), 5.0), rtol=1e-3, atol=0.0)
    step = layer.input.scale * layer.weights.step()
    assert (layer.bias.abs() / step < 2**31 - 1).all()
    with torch.no_grad():
        torch.testing.assert_close(outcome.net(x), net(x), rtol=0.05, atol=0.05)


def test_what_the_ends_of_a_grid_cut_off_is_told():
    net, x = made("Plain"), samples()
    with torch.no_grad():
        net.middle.weight[:, 0, 0, 0] = 4.0  # far from all others: the least squared error gives it up
    x[0, 0, 0, 0] = 500.0
    outcome = Quantize(observer="percentile", percentile=99.0)(net, context(net, x, SPEC))
    row = next(row for row in outcome.layers if row.name == "middle")
    assert "cut off" in row.note and "of the inputs" in row.note
    shares = outcome.facts["cut"]["middle"]
    seen = net.stem(x[:512]).relu()
    grid = outcome.net.middle.input
    top = float((255 - grid.zero) * grid.scale)
    assert shares["inputs"] == pytest.approx(float((seen > top).float().mean()), abs=0.003)


def test_weights_beyond_their_grid_are_counted():
    groups = torch.tensor([[[1.0, 0.5, 0.4, -0.2]]])
    assert quantization_grid.cut_off(groups, 8, torch.ones(1, 1)) == 0
    assert quantization_grid.cut_off(groups, 8, torch.full((1, 1), 0.6)) == 0.25
