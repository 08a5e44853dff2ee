"""Quantisation of weights and activations, post-training (PTQ) or quantisation-aware (QAT)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from bmx.compression.earlier_stages import VALUES
from bmx.compression.method import Context, LayerChange, Outcome
from bmx.compression.quantize.batch_norm_folding import fold, foldable
from bmx.compression.quantize.bit_widths import Rungs, least_bits
from bmx.compression.quantize.builder import CONVOLUTIONS, Builder
from bmx.compression.quantize.calibration import OBSERVERS
from bmx.compression.quantize.changes import FLOAT, changes
from bmx.compression.quantize.dataflow import flows
from bmx.compression.quantize.layers import (
    COVERED,
    QuantizedLayer,
    finish_layers,
)
from bmx.compression.quantize.recurrent import QuantizedRecurrent
from bmx.compression.quantize.tables import store_tables, tables
from bmx.compression.recipe import Step
from bmx.errors import UsageError, did_you_mean

ACTIVATIONS = ("int8", "dynamic", "none")
RANGES = ("reduced", "full")
_NOT_COVERED = "stays in floats"


@dataclass
class Quantize:
    """Quantises weights to 8 or 4 bits with a scale per output, and the inputs of layers to 8 bits.

    Covers linear layers, 1-d and 2-d convolutions and embeddings; batch normalisations are folded into the convolutions
    before them. Large parameters of other modules, such as a table of positions, are stored as int8 and used as floats.
    Attention's products, softmax and layer normalisation stay in floats. Recurrent layers keep int8 weights. Jacob et
    al. 2018; Nagel et al. 2021, "A white paper on neural network quantization".

    Args:
        weights: bits of a weight, 8 or 4. Four bits are for linear layers; the other layers then get eight.
        activations: ``int8``, with ranges calibrated on training samples; ``dynamic``, with the range of each batch,
            for linear layers only; ``none``, floats.
        range: of eight-bit weights that are multiplied with eight-bit inputs. ``reduced`` keeps them within ±63, so
            that their products do not overflow on any processor; ``full`` goes to 127, for processors with VNNI or of
            other kinds than x86.
        observer: how a range follows from the calibration values: ``minmax``, ``percentile`` or ``mse``. With ``mse``,
            and always at four bits, the grids of weights are narrowed for the least squared error too.
        percentile: of the values that a range covers, with ``observer=percentile``.
        samples: training samples for calibration.
        group: neighbouring weights that share a scale at four bits; a power of two from 16.
        qat: quantisation-aware training: keep float weights and round them in every step of the fine-tuning; otherwise
            they are integers at once.
        skip: paths of layers, or of modules that contain some, to skip; patterns as in file names.
        mixed: percentage points (or the unit of ``Context.score``) that the validation score may fall. The most
            sensitive layers get more bits until the drop is within it. Null gives every layer the same bits.
    """

    place: ClassVar[int] = 4
    must_be_last: ClassVar[str] = "rounds to few bits, which comes last"
    loses: ClassVar[tuple[str, ...]] = (VALUES,)

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
            UsageError: an invalid field, or a net of which nothing can be quantised.
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
        folded = foldable(folded_net, plain, next(iter(context.calibration(16)))[0])
        fold(folded_net, folded)
        work = Builder(self, folded_net, flows(folded_net, plain, context.example), folded, held, context)
        bits = {name: self._bits(net.get_submodule(name)) for name in names}
        facts: dict[str, Any] = {}
        if self.mixed is not None:
            rungs: Rungs = {name: [b for b in (4, 8, FLOAT) if b >= least] for name, least in bits.items()}
            sizes = {name: sum(p.numel() for p in net.get_submodule(name).parameters()) for name in names}

            def score(chosen: Mapping[str, int]) -> float:
                return context.score(work.build(chosen, tuning=False))

            bits, facts = least_bits(rungs, sizes, score, context.score(copy.deepcopy(net)), float(self.mixed))
            if all(b == FLOAT for b in bits.values()):
                score_now = f"the score is {facts['score']:.2f} in floats"
                fix = f"allow more with compression.mixed=, or tune with compression.qat=true; {score_now}"
                raise UsageError("no layer can be quantised within the budget", f"compression.mixed={self.mixed}", fix)
        made = work.build(bits, tuning=self.qat)
        step = work.step(bits, tuning=self.qat)
        cut = work.cut(bits)
        layers = changes(net, folded, notes, bits, step, cut)
        facts |= {"bits": bits, "observer": self.observer, "cut": cut}
        finish = _Finish(step, layers, facts) if self.qat else None
        return Outcome(made.eval(), [step], layers, finish=finish, facts=facts)

    def _check(self, net: nn.Module) -> None:
        if self.weights not in (8, 4):
            fix = "write compression.weights=8, or compression.weights=4 compression.activations=none"
            raise UsageError("weights have 8 or 4 bits", f"compression.weights={self.weights}", fix)
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
            where = f"compression.group={self.group}"
            raise UsageError("a group is a power of two from 16", where, "write compression.group=32")
        if not 50 < self.percentile <= 100:
            where = f"compression.percentile={self.percentile}"
            raise UsageError("a percentile is above 50 and at most 100", where, "write compression.percentile=99.99")
        if self.samples < 1:
            where = f"compression.samples={self.samples}"
            raise UsageError("ranges are found on one sample at least", where, "write compression.samples=512")
        if self.mixed is not None and self.mixed < 0:
            where = f"compression.mixed={self.mixed}"
            raise UsageError(
                "the score may fall by 0 or more", where, "write compression.mixed=0.5, or compression.mixed=null"
            )
        known = [name for name, _ in net.named_modules() if name]
        for path in self.skip:
            if not any(fnmatchcase(name, path) for name in known):
                raise UsageError(f"no layer '{path}'", f"compression.skip=[{path}]", did_you_mean(path, known))

    def _notes(self, net: nn.Module) -> dict[str, str | None]:
        """For each module with weights of its own why it is skipped, or None."""
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


@dataclass(frozen=True)
class _Finish:
    """Converts the weights of a tuned net to integers."""

    step: Step
    layers: Sequence[LayerChange]
    facts: dict[str, Any]

    def __call__(self, net: nn.Module, context: Context) -> Outcome:
        net = copy.deepcopy(net)
        finish_layers(net)
        store_tables(net)
        return Outcome(net.eval(), [{**self.step, "tuning": False}], self.layers, facts=self.facts)


def _why_not(module: nn.Module) -> str | None:
    if type(module) in COVERED:
        if isinstance(module, CONVOLUTIONS) and module.padding_mode != "zeros":
            return f"left alone: padding_mode={module.padding_mode}"
        if isinstance(module, nn.Embedding) and module.max_norm is not None:
            return "left alone: an embedding with max_norm"
        return None
    if isinstance(module, nn.RNNBase):
        return None if type(module) in (nn.LSTM, nn.GRU, nn.RNN) else f"left alone: {type(module).__name__}"
    return f"left alone: {type(module).__name__} {_NOT_COVERED}"
