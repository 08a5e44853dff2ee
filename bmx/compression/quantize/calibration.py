"""Calibration: observes the activations of a model and fits quantisation ranges to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bmx.compression.quantize import quantization_grid

OBSERVERS = ("minmax", "percentile", "mse")
_BINS = 2048
# Candidate ranges of the grid as fractions of the whole range.
_SHRINKS = [step / 50 for step in range(50, 9, -1)]


@dataclass(frozen=True)
class TensorPlace:
    """An activation tensor of a model: the input or output of a layer.

    Attributes:
        layer: path of the module.
        side: ``input`` or ``output``.
        relu: whether negative values are cut off by a ReLU behind it.
    """

    layer: str
    side: str
    relu: bool = False


@dataclass(frozen=True)
class TensorRange:
    """Quantisation range of an activation tensor.

    Attributes:
        low: its lower end.
        high: its upper end.
        cut: fraction of the observed values that lie outside.
    """

    low: float
    high: float
    cut: float = 0.0


def observe(
    net: nn.Module,
    places: Collection[TensorPlace],
    batches: Callable[[], Iterator[Tensor]],
    observer: str,
    percentile: float,
) -> dict[TensorPlace, TensorRange]:
    """Determines the quantisation range of each activation tensor.

    Args:
        net: in eval mode; not modified.
        places: the tensors to observe; those that never occur are missing in the result.
        batches: inputs as the net takes them, the same ones at each call.
        observer: ``minmax``, all observed values; ``percentile``, all but the outermost; ``mse``, the range whose grid
            has the least squared error.
        percentile: percentage of the values within the range; 99.99 clips one in 10,000.
    """
    ends: dict[TensorPlace, tuple[float, float]] = {}

    def widen(place: TensorPlace, x: Tensor) -> None:
        low, high = (float(end) for end in x.aminmax())
        was = ends.get(place, (low, high))
        ends[place] = (min(low, was[0]), max(high, was[1]))

    _watch(net, places, batches, widen)
    if observer == "minmax":
        return {place: TensorRange(*found) for place, found in ends.items()}
    counts = {place: torch.zeros(_BINS, dtype=torch.float64) for place in ends}

    def count(place: TensorPlace, x: Tensor) -> None:
        low, high = ends[place]
        counts[place] += torch.histc(x.float(), _BINS, low, high).double() if high > low else 0

    _watch(net, places, batches, count)
    narrow = _percentile if observer == "percentile" else _least_error
    found = {}
    for place, seen in ends.items():
        low, high = narrow(counts[place], *seen, percentile)
        found[place] = TensorRange(low, high, _outside(counts[place], *seen, low, high))
    return found


def _outside(counts: Tensor, first: float, last: float, low: float, high: float) -> float:
    """The fraction of a histogram over ``first`` to ``last`` that is not between ``low`` and ``high``."""
    total = float(counts.sum())
    if last <= first or not total:
        return 0.0
    centres = _centres(first, last)
    return float(counts[(centres < min(low, 0.0)) | (centres > max(high, 0.0))].sum()) / total


def _watch(
    net: nn.Module,
    places: Collection[TensorPlace],
    batches: Callable[[], Iterator[Tensor]],
    see: Callable[[TensorPlace, Tensor], None],
) -> None:
    modules: Mapping[str, nn.Module] = dict(net.named_modules())

    def on_input(place: TensorPlace) -> Any:
        return lambda module, arguments: see(place, arguments[0])

    def on_output(place: TensorPlace) -> Any:
        return lambda module, arguments, returned: see(place, returned.clamp(min=0) if place.relu else returned)

    hooks: list[Any] = []
    for place in places:
        module = modules[place.layer]
        if place.side == "input":
            hooks.append(module.register_forward_pre_hook(on_input(place)))
        else:
            hooks.append(module.register_forward_hook(on_output(place)))
    try:
        with torch.no_grad():
            for batch in batches():
                net(batch)
    finally:
        for hook in hooks:
            hook.remove()


def _centres(low: float, high: float) -> Tensor:
    width = (high - low) / _BINS
    return low + width * (torch.arange(_BINS, dtype=torch.float64) + 0.5)


def _percentile(counts: Tensor, low: float, high: float, percentile: float) -> tuple[float, float]:
    if high <= low:
        return low, high
    edges = torch.linspace(low, high, _BINS + 1, dtype=torch.float64)
    share = torch.cat((counts.new_zeros(1), counts.cumsum(0) / counts.sum()))
    outside = (1 - percentile / 100) / 2
    first = int((share <= outside).sum()) - 1
    last = int((share < 1 - outside).sum())
    return float(edges[max(first, 0)]), float(edges[min(last, _BINS)])


def _least_error(counts: Tensor, low: float, high: float, _: float) -> tuple[float, float]:
    if high <= low:
        return low, high
    centres = _centres(low, high).float()
    best, least = (low, high), float("inf")
    for shrink in _SHRINKS:
        scale, zero = quantization_grid.activation_grid(low * shrink, high * shrink)
        rounded = quantization_grid.on_grid(centres, torch.tensor(scale), torch.tensor(zero))
        error = float((counts * (rounded - centres).double().square()).sum())
        if error < least:
            best, least = (low * shrink, high * shrink), error
    return best
