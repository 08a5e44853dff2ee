"""Cost of each layer, unchanged and in every size it could be factored to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from bmx.compression.low_rank.factored import factored_like, sizes
from bmx.compression.low_rank.factorizable_layers import FactorizableLayer
from bmx.compression.method import Context
from bmx.measure.latency import interleave
from bmx.measure.layer_times import time_layers
from bmx.measure.macs import macs_by_module

# Number of sizes of each layer that are timed; the others are interpolated.
_TIMED = 6
_SECONDS = 0.05  # spent on each

Size = tuple[str, tuple[int, ...]]
"""A scheme and its ranks."""


def layer_costs(unit: str, net: nn.Module, context: Context) -> dict[str, float]:
    """Cost of each module of a net itself, without its submodules, by path.

    Args:
        unit: ``params``, ``macs`` of one sample, ``bytes``, or ``latency_ms`` of one sample, measured.
        net: not modified.
        context: supplies the example.
    """
    if unit == "macs":
        return dict(macs_by_module(net, context.example))
    if unit == "latency_ms":
        return {name: 1000 * took for name, took in time_layers(net, context.example).items()}
    found = {}
    for name, module in net.named_modules():
        own = list(module.parameters(recurse=False))
        found[name] = float(sum(p.numel() * (p.element_size() if unit == "bytes" else 1) for p in own))
    return {name: cost for name, cost in found.items() if cost}


def size_costs(
    unit: str, targets: Mapping[str, FactorizableLayer], offered: Mapping[str, Sequence[Size]]
) -> dict[str, tuple[list[float], float]]:
    """Cost of the weights of layers in each candidate size, and unchanged.

    Args:
        unit: as in :func:`layer_costs`.
        targets: the layers.
        offered: for each layer its candidate schemes and ranks, smallest first.
    """
    if unit == "latency_ms":
        return _timed(targets, offered)
    return {
        name: ([_cost(unit, target, size) for size in offered[name]], _cost_now(unit, target))
        for name, target in targets.items()
    }


def _cost(unit: str, target: FactorizableLayer, size: Size) -> float:
    reading, writing = sizes(target.layer, *size)
    if unit == "macs":
        return reading * target.site.read + writing * target.site.written
    return (reading + writing) * _width(unit, target)


def _cost_now(unit: str, target: FactorizableLayer) -> float:
    # Both factors of a layer that is factored already run at the positions of its output.
    return target.weights * (target.site.written if unit == "macs" else _width(unit, target))


def _width(unit: str, target: FactorizableLayer) -> int:
    return next(target.layer.parameters()).element_size() if unit == "bytes" else 1


def _timed(
    targets: Mapping[str, FactorizableLayer], offered: Mapping[str, Sequence[Size]]
) -> dict[str, tuple[list[float], float]]:
    """Milliseconds of each layer alone, for some of the sizes; measurements are interleaved to be comparable."""
    layers: dict[tuple[str, int], nn.Module] = {}
    for name, target in targets.items():
        layers[name, -1] = target.layer
        for at in _some(len(offered[name])):
            layers[name, at] = factored_like(target.layer, *offered[name][at])
    inputs = {name: torch.randn(target.site.shape) for name, target in targets.items()}
    with torch.inference_mode():
        calls = {key: (lambda layer=layer, x=inputs[key[0]]: layer(x)) for key, layer in layers.items()}
        took = interleave(calls, _SECONDS)
    found = {}
    for name, target in targets.items():
        ms = {at: 1000 * target.site.calls * took[name, at].median for at in (-1, *_some(len(offered[name])))}
        found[name] = (_interpolated(ms, len(offered[name])), ms[-1])
    return found


def _some(count: int) -> list[int]:
    """Indices of the first, the last and some sizes between, denser where they are small."""
    if count < 2:
        return list(range(count))
    return sorted({round(count ** (i / (_TIMED - 1)) - 1) for i in range(_TIMED)})


def _interpolated(ms: Mapping[int, float], count: int) -> list[float]:
    known = sorted(at for at in ms if at >= 0)
    found = []
    for at in range(count):
        low = max(k for k in known if k <= at)
        high = min(k for k in known if k >= at)
        share = (at - low) / (high - low) if high > low else 0.0
        found.append(ms[low] + share * (ms[high] - ms[low]))
    return found
