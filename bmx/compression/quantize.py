"""Weights and activations of few bits: after training, or tuned with the rounding in place."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from bmx.compression import integers
from bmx.compression.bit_widths import Rungs, least_bits
from bmx.compression.flow import Flow, flows
from bmx.compression.method import Context, LayerChange, Outcome
from bmx.compression.quantized_changes import FLOAT, changes
from bmx.compression.quantized_layers import (
    COVERED,
    DynamicGrid,
    QuantizedLayer,
    StaticGrid,
    StoredWeights,
    TunedWeights,
)
from bmx.compression.quantized_rebuild import fold, quantized, replace, round_tables
from bmx.compression.quantized_recurrent import QuantizedRecurrent
from bmx.compression.quantized_tables import store_tables, tables
from bmx.compression.ranges import OBSERVERS, Place, observe
from bmx.compression.recipe import Step
from bmx.errors import UsageError, did_you_mean

ACTIVATIONS = ("int8", "dynamic", "none")
RANGES = ("reduced", "full")
_NOT_COVERED = "stays in floats"
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)


@dataclass
class Quantize:
    """Weights as integers of 8 or 4 bits with a step for each output, and the inputs of layers as 8-bit integers.

    Linear layers, 1-d and 2-d convolutions and embeddings; batch normalisations go into the convolutions before them.
    Large parameters of other modules, such as a table of positions, are stored as int8 and used as floats.
    Attention's products, softmax and layer normalisation stay in floats. Recurrent layers keep int8 weights.
    Jacob et al. 2018; Nagel et al. 2021, "A white paper on neural network quantization".

    Args:
        weights: bits of a weight, 8 or 4. Four bits are for linear layers; the other layers then get eight.
        activations: ``int8``, whose ranges are found on training samples; ``dynamic``, found anew in each batch, for
            linear layers only; ``none``, floats.
        range: of eight-bit weights that meet eight-bit inputs. ``reduced`` keeps them within 63, so that their products
            are right on every processor; ``full`` goes to 127, for processors with VNNI or of other kinds than x86.
        observer: how a range follows from what was seen: ``minmax``, ``percentile`` or ``mse``. With ``mse``, and
            always at four bits, the grids of weights are narrowed for the least squared error too.
        percentile: of the numbers that a range holds, with ``observer=percentile``.
        samples: training samples that ranges are found on.
        group: neighbouring weights that share a step at four bits; a power of two from 16.
        qat: keep float weights and round them in every step of the fine-tuning; without it they are integers at once.
        skip: paths of layers, or of modules that hold some, that stay as they are; patterns as in file names.
        mixed: percentage points (or the unit of ``Context.score``) that the validation score may fall. The layers
            that suffer most then get more bits, until it holds. Null gives every layer the same.
    """

    weights: int = 8
    activations: str = "int8"
    range: str = "reduced"
    observer: str = "mse"
    percentile: float = 99.99
    samples: int = 512
    group: int = 32
    qat: bool = False
    skip: Sequence[str] = ()
    mixed: float | None = None

    def __call__(self, net: nn.Module, context: Context) -> Outcome:
        """Compresses ``net``.

        Raises:
            UsageError: a field that cannot be, or a net of which nothing can be quantised.
        """
        self._check(net)
        folded_net = copy.deepcopy(net)
        notes = self._notes(net)
        names = [name for name, note in notes.items() if note is None]
        held = {name: tables(net.get_submodule(name)) for name, note in notes.items() if note and _NOT_COVERED in note}
        held = {name: found for name, found in held.items() if found}
        if not names and not held:
            fix = "recurrent, linear and convolution layers can be; `skip` may name them all"
            raise UsageError("there is no layer in this model that could be quantised", "compression=quantize", fix)
        plain = [name for name in names if not isinstance(net.get_submodule(name), nn.RNNBase)]
        folded = _foldable(flows(folded_net, plain, context.example), plain, folded_net)
        fold(folded_net, folded)
        work = _Work(self, folded_net, flows(folded_net, plain, context.example), folded, held, context)
        bits = {name: self._bits(net.get_submodule(name)) for name in names}
        facts: dict[str, Any] = {}
        if self.mixed is not None:
            rungs: Rungs = {name: [b for b in (4, 8, FLOAT) if b >= least] for name, least in bits.items()}
            sizes = {name: sum(p.numel() for p in net.get_submodule(name).parameters()) for name in names}

            def score(chosen: Mapping[str, int]) -> float:
                return context.score(work.build(chosen, tuning=False))

            bits, facts = least_bits(rungs, sizes, score, context.score(copy.deepcopy(net)), float(self.mixed))
            if all(b == FLOAT for b in bits.values()):
                fix = f"allow more with mixed=, or tune with qat=true; the score is {facts['score']:.2f} in floats"
                raise UsageError("no layer can be quantised within the budget", f"mixed={self.mixed}", fix)
        made = work.build(bits, tuning=self.qat)
        step = work.step(bits, tuning=self.qat)
        layers = changes(net, folded, notes, bits, step)
        facts |= {"bits": bits, "observer": self.observer}
        finish = _Finish(step, layers, facts) if self.qat else None
        return Outcome(made.eval(), [step], layers, finish=finish, facts=facts)

    def _check(self, net: nn.Module) -> None:
        if self.weights not in (8, 4):
            raise UsageError("weights have 8 or 4 bits", f"compression.weights={self.weights}")
        for field, words in (("activations", ACTIVATIONS), ("range", RANGES), ("observer", OBSERVERS)):
            word = getattr(self, field)
            if word not in words:
                fix = did_you_mean(str(word), words)
                raise UsageError(f"{field} cannot be '{word}'", f"compression.{field}={word}", fix)
        if self.weights == 4 and self.activations != "none":
            fix = "say compression.activations=none, or compression.weights=8"
            where = f"compression.weights=4 compression.activations={self.activations}"
            raise UsageError("no runtime multiplies 4-bit weights with 8-bit activations", where, fix)
        if self.group < 16 or self.group & (self.group - 1):
            raise UsageError("a group is a power of two from 16", f"compression.group={self.group}", "take 32")
        if not 50 < self.percentile <= 100:
            raise UsageError("a percentile is above 50 and at most 100", f"compression.percentile={self.percentile}")
        if self.samples < 1:
            raise UsageError("ranges are found on one sample at least", f"compression.samples={self.samples}")
        if self.mixed is not None and self.mixed < 0:
            raise UsageError("the score may fall by 0 or more", f"compression.mixed={self.mixed}")
        known = [name for name, _ in net.named_modules() if name]
        for path in self.skip:
            if not any(fnmatchcase(name, path) for name in known):
                raise UsageError(f"no layer '{path}'", f"compression.skip=[{path}]", did_you_mean(path, known))

    def _notes(self, net: nn.Module) -> dict[str, str | None]:
        """For each module with weights of its own why it is left alone, or None."""
        notes: dict[str, str | None] = {}
        inside: list[str] = []
        for name, module in net.named_modules():
            within = [outer for outer in inside if name.startswith(f"{outer}.")]
            if isinstance(module, QuantizedLayer | QuantizedRecurrent | ParametrizationList):
                inside.append(name)
                notes[name] = "left alone: has few bits already"
            elif not within and any(True for _ in module.parameters(recurse=False)):
                skipped = any(fnmatchcase(name, path) or fnmatchcase(name, f"{path}.*") for path in self.skip)
                notes[name] = "left alone: named in skip" if skipped else _why_not(module)
        return notes

    def _bits(self, layer: nn.Module) -> int:
        return self.weights if type(layer) is nn.Linear else 8


class _Work:
    """A model whose ranges are known, of which versions with different bits can be made."""

    def __init__(
        self,
        method: Quantize,
        net: nn.Module,
        flow: dict[str, Flow],
        folded: dict[str, str],
        held: dict[str, list[str]],
        context: Context,
    ) -> None:
        self.method, self.net, self.flow, self.folded, self.held = method, net, flow, folded, held
        self.clips: dict[tuple[str, int], Tensor] = {}
        self.ranges: dict[Place, tuple[float, float]] = {}
        if method.activations == "int8":
            called = {name: seen for name, seen in flow.items() if seen.calls}
            places = [Place(n, "input") for n in called if _has_integer_kernel(net.get_submodule(n))]
            places += [
                Place(n, "output", relu=seen.always_relu)
                for n, seen in called.items()
                if isinstance(net.get_submodule(n), _CONVOLUTIONS)
            ]

            def batches() -> Iterator[Tensor]:
                return (inputs for inputs, _ in context.calibration(method.samples))

            self.ranges = observe(net, places, batches, method.observer, method.percentile)

    def build(self, bits: Mapping[str, int], tuning: bool) -> nn.Module:
        """A new net with these bits; 32 leaves a layer as it is."""
        net = copy.deepcopy(self.net)
        round_tables(net, self.held, tuning)
        for name, fields in self.step(bits, tuning)["layers"].items():
            layer = net.get_submodule(name)
            if isinstance(layer, nn.RNNBase):
                replace(net, layer, QuantizedRecurrent(layer, fields["bits"]))
                continue
            weight = layer.weight
            assert isinstance(weight, Tensor)
            clip = self._clip(name, weight.detach(), fields["bits"], fields["group"])
            kind = TunedWeights if tuning else StoredWeights.of
            input: nn.Module | None = None
            if fields["input"] is not None:
                input = self._grid(name, "input") if fields["input"] == "static" else DynamicGrid()
            output = self._grid(name, "output") if fields["output"] else None
            weights = kind(weight, fields["bits"], fields["group"], clip)
            replace(net, layer, quantized(layer, weights, input, output))
        return net

    def step(self, bits: Mapping[str, int], tuning: bool) -> Step:
        """What repeats :meth:`build` on the original's architecture."""
        chosen = {name for name, b in bits.items() if b != FLOAT}
        layers = {name: self._fields(name, bits[name], chosen) for name in bits if name in chosen}
        plain = {"folded": dict(self.folded), "tables": {name: list(names) for name, names in self.held.items()}}
        return {"kind": "quantize", "tuning": tuning, **plain, "layers": layers}

    def _fields(self, name: str, bits: int, chosen: set[str]) -> dict[str, Any]:
        layer, seen = self.net.get_submodule(name), self.flow.get(name, Flow())
        static = Place(name, "input") in self.ranges
        dynamic = self.method.activations == "dynamic" and isinstance(layer, nn.Linear) and seen.calls > 0
        # An integer kernel of a convolution gives integers. The grid of the layer that takes them does, if it is the
        # only taker; what the model returns stays in floats, and so does the convolution that gives it.
        alone = not seen.elsewhere and seen.layers <= chosen and len(seen.layers) > 0
        output = static and isinstance(layer, _CONVOLUTIONS) and not alone and not seen.returned
        return {
            "bits": 7 if bits == 8 and self._meets_integers(layer) else bits,
            "group": self.method.group if bits == 4 else 0,
            "input": "static" if static else "dynamic" if dynamic else None,
            "output": output,
        }

    def _meets_integers(self, layer: nn.Module) -> bool:
        """Whether an integer kernel may multiply these weights with eight-bit inputs, and they have to be smaller.

        A convolution without a grid of its own may be given integers by the layer before it. The integer LSTM rounds
        its inputs whatever ``activations`` says.
        """
        if self.method.range == "full":
            return False
        if type(layer) is nn.LSTM:
            return True
        if isinstance(layer, _CONVOLUTIONS):
            return self.method.activations == "int8"
        return self.method.activations != "none" and isinstance(layer, nn.Linear)

    def _grid(self, name: str, side: str) -> StaticGrid:
        low, high = next(ends for place, ends in self.ranges.items() if (place.layer, place.side) == (name, side))
        return StaticGrid(*integers.activation_grid(low, high))

    def _clip(self, name: str, weight: Tensor, bits: int, group: int) -> Tensor:
        if (name, bits) not in self.clips:
            groups = integers.grouped(weight, group)
            search = bits == 4 or self.method.observer == "mse"
            self.clips[name, bits] = integers.best_clip(groups, bits) if search else groups.new_ones(groups.shape[:2])
        return self.clips[name, bits]


@dataclass(frozen=True)
class _Finish:
    """Turns the weights of a tuned net into integers."""

    step: Step
    layers: Sequence[LayerChange]
    facts: dict[str, Any]

    def __call__(self, net: nn.Module, context: Context) -> Outcome:
        net = copy.deepcopy(net)
        for layer in net.modules():
            if isinstance(layer, QuantizedLayer):
                layer.finish()
        store_tables(net)
        return Outcome(net.eval(), [{**self.step, "tuning": False}], self.layers, facts=self.facts)


def _has_integer_kernel(layer: nn.Module) -> bool:
    """Whether onnxruntime gains by integers: in a convolution of one channel they took 1.2 to 2.5 times as long."""
    if isinstance(layer, _CONVOLUTIONS):
        return layer.in_channels > 1
    return not isinstance(layer, nn.Embedding)


def _why_not(module: nn.Module) -> str | None:
    if type(module) in COVERED:
        if isinstance(module, _CONVOLUTIONS) and module.padding_mode != "zeros":
            return f"left alone: padding_mode={module.padding_mode}"
        if isinstance(module, nn.Embedding) and module.max_norm is not None:
            return "left alone: an embedding with max_norm"
        return None
    if isinstance(module, nn.RNNBase):
        return None if type(module) in (nn.LSTM, nn.GRU, nn.RNN) else f"left alone: {type(module).__name__}"
    return f"left alone: {type(module).__name__} {_NOT_COVERED}"


def _foldable(flow: dict[str, Flow], names: Sequence[str], net: nn.Module) -> dict[str, str]:
    """The batch normalisations that read nothing but the output of one convolution, and that convolution."""
    folded: dict[str, str] = {}
    for name in names:
        seen = flow[name]
        if isinstance(net.get_submodule(name), _CONVOLUTIONS) and seen.norm and seen.readers == 1 and seen.calls == 1:
            norm = net.get_submodule(seen.norm)
            if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.running_mean is not None:
                folded[seen.norm] = name
    return folded
