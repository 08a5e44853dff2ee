"""Builds quantised versions of one calibrated model with different bit widths."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol, cast

from torch import Tensor, nn

from bmx.compression.method import Context
from bmx.compression.module_replacement import replace
from bmx.compression.quantize import quantization_grid
from bmx.compression.quantize.calibration import TensorPlace, TensorRange, observe
from bmx.compression.quantize.changes import FLOAT
from bmx.compression.quantize.dataflow import Flow
from bmx.compression.quantize.layers import DynamicGrid, StaticGrid, StoredWeights, TunedWeights
from bmx.compression.quantize.recurrent import QuantizedRecurrent
from bmx.compression.quantize.step_quantize import quantized, round_tables
from bmx.compression.recipe import Step

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)


class Settings(Protocol):
    """The fields of :class:`bmx.compression.quantize.Quantize` that determine a version."""

    activations: str
    range: str
    observer: str
    percentile: float
    samples: int
    group: int


class Builder:
    """A calibrated model, from which versions with different bit widths are built."""

    def __init__(
        self,
        method: Settings,
        net: nn.Module,
        flow: dict[str, Flow],
        folded: dict[str, str],
        held: dict[str, list[str]],
        context: Context,
    ) -> None:
        self.method, self.net, self.flow, self.folded, self.held = method, net, flow, folded, held
        self.clips: dict[tuple[str, int], Tensor] = {}
        self.ranges: dict[TensorPlace, TensorRange] = {}
        self.ties = _ties(net, flow)
        if method.activations == "int8":
            called = {name: seen for name, seen in flow.items() if seen.calls}
            places = [TensorPlace(n, "input") for n in called if _has_integer_kernel(net.get_submodule(n))]
            places += [
                TensorPlace(n, "output", relu=seen.always_relu)
                for n, seen in called.items()
                if isinstance(net.get_submodule(n), CONVOLUTIONS)
            ]

            def batches() -> Iterator[Tensor]:
                return (inputs for inputs, _ in context.calibration(method.samples))

            self.ranges = observe(net, places, batches, method.observer, method.percentile)

    def build(self, bits: Mapping[str, int], tuning: bool) -> nn.Module:
        """Builds a new net with these bits; 32 keeps a layer in floats."""
        net = copy.deepcopy(self.net)
        round_tables(net, self.held, tuning)
        made: dict[int, StoredWeights | TunedWeights] = {}  # a weight that several layers share is rounded once
        layers = self.step(bits, tuning)["layers"]
        for name, fields in layers.items():
            layer = net.get_submodule(name)
            if isinstance(layer, nn.RNNBase):
                replace(net, layer, QuantizedRecurrent(layer, fields["bits"]))
                continue
            weight = layer.weight
            assert isinstance(weight, Tensor)
            input: nn.Module | None = None
            if fields["input"] is not None:
                input = self._grid(name, "input") if fields["input"] == "static" else DynamicGrid()
            output = self._grid(name, "output") if fields["output"] else None
            if id(weight) not in made:
                clip = self._wide_enough(name, weight.detach(), layers)
                kind = TunedWeights if tuning else StoredWeights.of
                made[id(weight)] = kind(weight, fields["bits"], fields["group"], clip)
            replace(net, layer, quantized(layer, made[id(weight)], input, output))
        return net

    def cut(self, bits: Mapping[str, int]) -> dict[str, dict[str, float]]:
        """For each layer the fraction of its inputs, outputs and weights that the ends of their grids clip."""
        found: dict[str, dict[str, float]] = {}
        for name, fields in self.step(bits, tuning=False)["layers"].items():
            layer, shares = self.net.get_submodule(name), {}
            for side in ("input", "output"):
                here = next((r for p, r in self.ranges.items() if (p.layer, p.side) == (name, side)), None)
                if here is not None and (fields["output"] if side == "output" else fields["input"] == "static"):
                    shares[f"{side}s"] = here.cut
            if not isinstance(layer, nn.RNNBase):
                weight = cast(Tensor, layer.weight).detach()
                groups = quantization_grid.grouped(weight, fields["group"])
                clip = self._wide_enough(name, weight, {name: fields})
                shares["weights"] = quantization_grid.cut_off(groups, fields["bits"], clip)
            found[name] = {what: share for what, share in shares.items() if share > 0}
        return {name: shares for name, shares in found.items() if shares}

    def _wide_enough(self, name: str, weight: Tensor, layers: Mapping[str, Any]) -> Tensor:
        """Clip of the grids of a weight, large enough for the biases of all layers that share it."""
        fields = layers[name]
        clip = self._clip(name, weight, fields["bits"], fields["group"])
        for other in self.ties.get(name, (name,)):
            bias = getattr(self.net.get_submodule(other), "bias", None)
            if fields["group"] or bias is None or layers.get(other, {}).get("input") != "static":
                continue
            step = quantization_grid.weight_scale(quantization_grid.grouped(weight, 0), fields["bits"], clip)[:, 0]
            least = quantization_grid.least_step(bias.detach(), self._grid(other, "input").scale)
            clip = clip * quantization_grid.widening(step, least).unsqueeze(1)
        return clip

    def step(self, bits: Mapping[str, int], tuning: bool) -> Step:
        """The recipe step that repeats :meth:`build` on the original architecture."""
        bits = {name: max(bits.get(each, FLOAT) for each in self.ties.get(name, (name,))) for name in bits}
        chosen = {name for name, b in bits.items() if b != FLOAT}
        layers = {name: self._fields(name, bits[name], chosen) for name in bits if name in chosen}
        plain = {"folded": dict(self.folded), "tables": {name: list(names) for name, names in self.held.items()}}
        return {"kind": "quantize", "tuning": tuning, **plain, "layers": layers}

    def _fields(self, name: str, bits: int, chosen: set[str]) -> dict[str, Any]:
        layer, seen = self.net.get_submodule(name), self.flow.get(name, Flow())
        static = TensorPlace(name, "input") in self.ranges
        dynamic = self.method.activations == "dynamic" and isinstance(layer, nn.Linear) and seen.calls > 0
        # An integer kernel of a convolution needs an output grid. That of the layer that reads the output serves, if it
        # is the only reader; the model's own output stays in floats, and so does the convolution that computes it.
        alone = not seen.elsewhere and seen.layers <= chosen and len(seen.layers) > 0
        output = static and isinstance(layer, CONVOLUTIONS) and not alone and not seen.returned
        return {
            "bits": 7 if bits == 8 and self._any_meets_integers(name) else bits,
            "group": self.method.group if bits == 4 else 0,
            "input": "static" if static else "dynamic" if dynamic else None,
            "output": output,
        }

    def _any_meets_integers(self, name: str) -> bool:
        return any(self._meets_integers(self.net.get_submodule(each)) for each in self.ties.get(name, (name,)))

    def _meets_integers(self, layer: nn.Module) -> bool:
        """Whether an integer kernel may multiply these weights with eight-bit inputs, which requires a reduced range.

        A convolution without an input grid may receive integers from the layer before it. The integer LSTM rounds its
        inputs whatever ``activations`` says.
        """
        if self.method.range == "full":
            return False
        if type(layer) is nn.LSTM:
            return True
        if isinstance(layer, CONVOLUTIONS):
            return self.method.activations == "int8"
        return self.method.activations != "none" and isinstance(layer, nn.Linear)

    def _grid(self, name: str, side: str) -> StaticGrid:
        found = next(ends for place, ends in self.ranges.items() if (place.layer, place.side) == (name, side))
        return StaticGrid(*quantization_grid.activation_grid(found.low, found.high))

    def _clip(self, name: str, weight: Tensor, bits: int, group: int) -> Tensor:
        if (name, bits) not in self.clips:
            groups = quantization_grid.grouped(weight, group)
            search = bits == 4 or self.method.observer == "mse"
            self.clips[name, bits] = (
                quantization_grid.best_clip(groups, bits) if search else groups.new_ones(groups.shape[:2])
            )
        return self.clips[name, bits]


def _ties(net: nn.Module, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """For each layer with a shared weight, all layers that share it; either all of them stay in floats or none."""
    owners: dict[int, list[str]] = {}
    for name in names:
        owners.setdefault(id(net.get_submodule(name).weight), []).append(name)
    return {name: tuple(all_of_it) for all_of_it in owners.values() if len(all_of_it) > 1 for name in all_of_it}


def _has_integer_kernel(layer: nn.Module) -> bool:
    """Whether onnxruntime is faster with integers: a convolution of one channel took 1.2 to 2.5 times as long."""
    if isinstance(layer, CONVOLUTIONS):
        return layer.in_channels > 1
    return not isinstance(layer, nn.Embedding)
