"""Which layers of a model become quantised ones, written as a recipe's step, and done again from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bmx.compression.quantized_layers import (
    DynamicGrid,
    QuantizedConv,
    QuantizedEmbedding,
    QuantizedLayer,
    QuantizedLinear,
    StaticGrid,
    StoredWeights,
    TunedWeights,
)
from bmx.compression.quantized_recurrent import QuantizedRecurrent
from bmx.compression.quantized_tables import round_table, rounded_tables, store_tables
from bmx.compression.recipe import Step

Weights = StoredWeights | TunedWeights


def rebuild(net: nn.Module, step: Step) -> nn.Module:
    """Makes the layers of ``net`` that a ``quantize`` step names into quantised ones, in place.

    Args:
        net: the model before it was quantised, or the tuned one, whose layers are then turned into stored ones.
        step: ``layers`` by path, each with ``bits`` (7 is 8 within 63), ``group``, ``input`` (static, dynamic or null)
            and ``output``; ``folded``, the batch normalisations that went into convolutions; ``tables``, parameters
            of other modules; ``tuning``, whether weights stay floats.
    """
    fold(net, step["folded"])
    for path, fields in step["layers"].items():
        layer = net.get_submodule(path)
        if isinstance(layer, QuantizedLayer | QuantizedRecurrent):
            if not step["tuning"]:
                layer.finish()
            continue
        bits, group = int(fields["bits"]), int(fields["group"])
        if isinstance(layer, nn.RNNBase):
            replace(net, layer, QuantizedRecurrent(layer, bits))
            continue
        weight = layer.weight
        assert isinstance(weight, Tensor)
        stored = StoredWeights(weight.shape, bits, group)
        weights: Weights = TunedWeights(weight, bits, group, stored.scale) if step["tuning"] else stored
        grids: dict[str | None, Callable[[], nn.Module | None]] = {
            "static": StaticGrid,
            "dynamic": DynamicGrid,
            None: lambda: None,
        }
        replace(net, layer, quantized(layer, weights, grids[fields["input"]](), fields["output"]))
    round_tables(net, step["tables"], step["tuning"])
    return net


def round_tables(net: nn.Module, names: dict[str, list[str]], tuning: bool) -> None:
    """Rounds parameters that no covered layer holds, given by the path of their module, in place."""
    for path, held in names.items():
        module = net.get_submodule(path)
        for name in held:
            if name not in {known for known, _, _ in rounded_tables(module)}:
                round_table(module, name, tuning)
    if not tuning:
        store_tables(net)


def is_quantised(module: nn.Module) -> bool:
    """Whether any layer has few-bit weights."""
    return any(
        isinstance(layer, QuantizedLayer | QuantizedRecurrent) or any(True for _ in rounded_tables(layer))
        for layer in module.modules()
    )


def quantized(layer: nn.Module, weights: Weights, input: nn.Module | None, output: Any) -> QuantizedLayer:
    """The quantised version of a layer; ``output`` is a grid, or true for one whose numbers come later."""
    if isinstance(layer, nn.Linear):
        return QuantizedLinear(layer, weights, input)
    if isinstance(layer, nn.Embedding):
        return QuantizedEmbedding(layer, weights)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    grid = output if isinstance(output, nn.Module) else StaticGrid() if output else None
    return QuantizedConv(layer, weights, input, grid)


def replace(net: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Puts ``new`` wherever ``net`` has ``old``."""
    new.train(old.training)
    for name, parent in list(net.named_modules(remove_duplicate=False)):
        for child_name, child in parent._modules.items():
            if child is old:
                parent._modules[child_name] = new
                _keep_off_fused_kernels(net, name)


def _keep_off_fused_kernels(net: nn.Module, path: str) -> None:
    """torch's fused transformer layer would compute with the weights alone, past the layer that holds them."""
    for end in range(len(path.split(".")) + 1):
        module = net.get_submodule(".".join(path.split(".")[:end]))
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = 0
        elif isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False


def fold(net: nn.Module, folded: dict[str, str]) -> None:
    """Multiplies batch normalisations into the convolutions before them, in place; the identity takes their place.

    Args:
        net: in eval mode.
        folded: the path of each batch normalisation, and that of its convolution.
    """
    for norm_path, conv_path in folded.items():
        norm, conv = net.get_submodule(norm_path), net.get_submodule(conv_path)
        if isinstance(norm, nn.Identity):
            continue
        assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
        assert norm.running_mean is not None and norm.running_var is not None
        assert isinstance(conv, nn.Conv1d | nn.Conv2d)
        weight, bias = conv.weight, conv.bias
        with torch.no_grad():
            gain = (norm.running_var + norm.eps).rsqrt()
            gain = gain if norm.weight is None else gain * norm.weight
            shift = -norm.running_mean if bias is None else bias - norm.running_mean
            shifted = shift * gain if norm.bias is None else shift * gain + norm.bias
            conv.weight = nn.Parameter(weight * gain.view(-1, *[1] * (weight.dim() - 1)))
            conv.bias = nn.Parameter(shifted)
        replace(net, norm, nn.Identity())
