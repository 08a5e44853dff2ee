"""Rebuilds the recipe step ``quantize``: replaces layers of a model by quantised ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from bmx.compression.module_replacement import replace
from bmx.compression.quantize.batch_norm_folding import fold
from bmx.compression.quantize.layers import (
    DynamicGrid,
    QuantizedConv,
    QuantizedEmbedding,
    QuantizedLayer,
    QuantizedLinear,
    StaticGrid,
    StoredWeights,
    TunedWeights,
    finish_layers,
)
from bmx.compression.quantize.recurrent import QuantizedRecurrent
from bmx.compression.quantize.tables import round_table, rounded_tables, store_tables
from bmx.compression.recipe import Step

Weights = StoredWeights | TunedWeights


def rebuild(net: nn.Module, step: Step) -> nn.Module:
    """Replaces the layers of ``net`` that a ``quantize`` step names by quantised ones, in place.

    Args:
        net: the model before quantisation, or the tuned one, whose layers are then converted to stored ones.
        step: ``layers`` by path, each with ``bits`` (7 is int8 within ±63), ``group``, ``input`` (static, dynamic or
            null) and ``output``; ``folded``, the folded batch normalisations; ``tables``, parameters of other modules;
            ``tuning``, whether weights stay floats.
    """
    fold(net, step["folded"])
    made: dict[int, Weights] = {}  # a weight that several layers share is rounded once
    for path, fields in step["layers"].items():
        layer = net.get_submodule(path)
        if isinstance(layer, QuantizedLayer | QuantizedRecurrent):
            continue
        bits, group = int(fields["bits"]), int(fields["group"])
        if isinstance(layer, nn.RNNBase):
            replace(net, layer, QuantizedRecurrent(layer, bits))
            continue
        weight = layer.weight
        assert isinstance(weight, Tensor)
        if id(weight) not in made:
            stored = StoredWeights(weight.shape, bits, group)
            made[id(weight)] = TunedWeights(weight, bits, group, stored.scale) if step["tuning"] else stored
        grids: dict[str | None, Callable[[], nn.Module | None]] = {
            "static": StaticGrid,
            "dynamic": DynamicGrid,
            None: lambda: None,
        }
        replace(net, layer, quantized(layer, made[id(weight)], grids[fields["input"]](), fields["output"]))
    if not step["tuning"]:
        finish_layers(net)
    round_tables(net, step["tables"], step["tuning"])
    return net


def round_tables(net: nn.Module, names: dict[str, list[str]], tuning: bool) -> None:
    """Quantises parameters outside the covered layers, given by the path of their module, in place."""
    for path, held in names.items():
        module = net.get_submodule(path)
        for name in held:
            if name not in {known for known, _, _ in rounded_tables(module)}:
                round_table(module, name, tuning)
    if not tuning:
        store_tables(net)


def is_quantised(module: nn.Module) -> bool:
    """Whether any layer has quantised weights."""
    return any(
        isinstance(layer, QuantizedLayer | QuantizedRecurrent) or any(True for _ in rounded_tables(layer))
        for layer in module.modules()
    )


def quantized(layer: nn.Module, weights: Weights, input: nn.Module | None, output: Any) -> QuantizedLayer:
    """The quantised version of a layer; ``output`` is a grid, or true for one whose values are loaded later."""
    if isinstance(layer, nn.Linear):
        return QuantizedLinear(layer, weights, input)
    if isinstance(layer, nn.Embedding):
        return QuantizedEmbedding(layer, weights)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    grid = output if isinstance(output, nn.Module) else StaticGrid() if output else None
    return QuantizedConv(layer, weights, input, grid)
