"""Sixteen of torchvision's architectures under every method, against plain arithmetic on their own code."""

from __future__ import annotations

import copy
import time

import pytest
import torch
import torchvision

from bmx.compression.deep.method import Deep
from bmx.compression.low_rank.method import LowRank
from bmx.compression.prune.method import Prune
from bmx.compression.prune_structured.method import PruneStructured
from bmx.compression.quantize.layers import QuantizedEmbedding, QuantizedLayer
from bmx.compression.quantize.method import Quantize
from bmx.data.spec import DataSpec
from tests.compression import independent
from tests.compression.quantising import context

pytestmark = pytest.mark.slow

# By name: the side of the images, and what the constructor is given besides.
NETS = {
    "alexnet": (64, {}),
    "convnext_tiny": (64, {}),
    "densenet121": (64, {}),
    "efficientnet_b0": (64, {}),
    "googlenet": (64, {"aux_logits": False, "init_weights": False}),
    "inception_v3": (96, {"aux_logits": False, "init_weights": False}),
    "mnasnet0_5": (64, {}),
    "mobilenet_v2": (64, {}),
    "mobilenet_v3_small": (64, {}),
    "regnet_y_400mf": (64, {}),
    "resnet18": (64, {}),
    "resnet34": (64, {}),
    "resnext50_32x4d": (64, {}),
    "shufflenet_v2_x0_5": (64, {}),
    "squeezenet1_1": (64, {}),
    "swin_t": (64, {}),
}
METHODS = {
    "prune": lambda: Prune(sparsity=0.5, schedule="once"),
    "prune_structured": lambda: PruneStructured(ratio=0.25),
    "low_rank": lambda: LowRank(rule="energy", budget={"params": 0.7}),
    "deep": lambda: Deep(sparsity=0.5),
    "quantize": lambda: Quantize(samples=16),
    "quantize_weights": lambda: Quantize(activations="none"),
}
EXACT, ROUNDED = 1e-4, 0.01


def made(word):
    """The net with random weights, and with statistics that fit them."""
    side, fields = NETS[word]
    torch.manual_seed(0)
    net = torchvision.models.get_model(word, num_classes=10, **fields)
    x = torch.randn(16, 3, side, side)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.LayerNorm):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
        elif isinstance(getattr(module, "bias", None), torch.nn.Parameter):
            torch.nn.init.normal_(module.bias, std=0.02)
    with torch.no_grad():
        net.train()(x)
    return net.eval(), x


def apart(net, alone, x):
    """The largest difference of any eight-bit layer from the formula, on what came in to it, beside its largest output.

    Through a deep net with random weights the one step that rounding may differ by grows without an end.
    """
    layers = {path: layer for path, layer in net.named_modules() if isinstance(layer, QuantizedLayer)}
    off = {}

    def compare(path):
        def hook(layer, given, found):
            if type(layer) is not QuantizedEmbedding:
                expected = alone.get_submodule(path).forward(*given)
                off[path] = float((found - expected).abs().max() / expected.abs().max())

        return hook

    handles = [layer.register_forward_hook(compare(path)) for path, layer in layers.items()]
    net(x)
    for handle in handles:
        handle.remove()
    return max(off.values())


def expected_net(method, net, small, recipe):
    if method == "prune":
        return independent.masked(net, small)
    if method == "prune_structured":
        return independent.scattered(net, small, [step for step in recipe if step["kind"] == "attention"])
    if method == "low_rank":
        return independent.multiplied(net, small)
    if method == "deep":
        return independent.valued(net, small)
    return independent.dequantised(net, small)


@pytest.fixture(scope="module")
def table():
    rows = []
    yield rows
    heads = ("net", "method", "seconds", "parameters", "off by", "answers kept")
    print("\n" + "\n".join("".join(f"{cell:>19}" for cell in row) for row in [heads, *rows]))


@pytest.mark.parametrize("word", NETS)
def test_a_compressed_net_is_what_arithmetic_makes_of_it(word, table):
    net, x = made(word)
    spec = DataSpec("noise", "image", tuple(x.shape[1:]), 10)
    failures = []
    for method, make in METHODS.items():
        given = context(net, x, spec)
        start = time.process_time()
        outcome = make()(copy.deepcopy(net), given)
        recipe = list(outcome.recipe)
        if outcome.finish is not None:
            outcome = outcome.finish(outcome.net, given)
            recipe += outcome.recipe
        seconds, small = time.process_time() - start, outcome.net.eval()
        try:
            with torch.no_grad():
                alone = expected_net(method, net, small, recipe)
                expected, found, before = alone(x), small(x), net(x)
                off = float((found - expected).abs().max() / expected.abs().max())
                if method == "quantize":
                    off = apart(small, alone, x)
            kept = float((found.argmax(1) == before.argmax(1)).float().mean())
            count = sum(p.numel() for p in small.parameters())
            table.append([word, method, f"{seconds:.1f}", f"{count:,}", f"{off:.1e}", f"{100 * kept:.0f} %"])
            assert off <= (ROUNDED if method == "quantize" else EXACT), f"off by {off}"
        except Exception as error:
            failures.append(f"{method}: {type(error).__name__}: {error}")
    assert not failures, "\n".join(failures)
