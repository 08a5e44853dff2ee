"""Unstructured pruning: sets single weights to zero, the architecture stays."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import nn

from bmx.compression.earlier_stages import VALUES, ZEROS
from bmx.compression.method import Context, LayerChange, Outcome
from bmx.compression.prunable import PrunableLayer, layers_with_weights
from bmx.compression.prune import selection
from bmx.compression.prune.fixed_masks import Masking, Ramp
from bmx.errors import UsageError, did_you_mean

SCHEDULES = ("cubic", "once")


@dataclass
class Prune:
    """Sets weights of linear, convolution and recurrent layers to zero, at once or gradually during fine-tuning.

    The number of zeros is exact, counted over the weights that can be pruned; biases, normalisations and embeddings
    stay. The shapes do not change: only a file format that compresses zeros becomes smaller (``format=packed``).

    Attributes:
        criterion: ``magnitude``, ``lamp`` or ``random``; see :func:`bmx.compression.prune.selection.scores`.
        sparsity: fraction of the weights that become zero, below 1; None is 0.9, and 0.5 for ``2:4``.
        budget: ``params``: how many weights stay, as a fraction (up to 1) or a count; replaces ``sparsity``.
        pattern: ``none``, or ``2:4``: two of four neighbouring inputs are pruned, which NVIDIA's sparse tensor cores
            can use.
        schedule: ``cubic`` prunes more and more during fine-tuning (:class:`.fixed_masks.Ramp`), ``once``
            before it.
        begin: fraction of the fine-tuning's steps after which the cubic schedule begins.
        end: fraction of the steps after which everything is pruned.
        updates: number of pruning steps in between.
        lottery_ticket: prune at once, then rewind the remaining weights to their values at initialisation (Frankle &
            Carbin 2019, "The lottery ticket hypothesis"); replaces the schedule.
        skip: names of layers to skip; ``*`` matches anything.
    """

    # Can start from an untrained net and follow its schedule during training.
    while_training: ClassVar[bool] = True

    place: ClassVar[int] = 2
    smallest: ClassVar[float] = 0.005
    keeps_size: ClassVar[bool] = True
    makes: ClassVar[tuple[str, ...]] = (ZEROS,)
    tuning_loses: ClassVar[tuple[str, ...]] = (VALUES,)

    criterion: str = "lamp"
    sparsity: float | None = None
    budget: Mapping[str, Any] = field(default_factory=dict)
    pattern: str = "none"
    schedule: str = "cubic"
    begin: float = 0.0
    end: float = 0.7
    updates: int = 100
    lottery_ticket: bool = False
    skip: Sequence[str] = ()

    def __post_init__(self) -> None:
        words = {"criterion": selection.CRITERIA, "pattern": selection.PATTERNS, "schedule": SCHEDULES}
        for name, known in words.items():
            word = getattr(self, name)
            if word not in known:
                fix = did_you_mean(str(word), known)
                raise UsageError(f"compression.{name} cannot be '{word}'", f"compression.{name}={word}", fix)
        if not 0 <= self.begin < self.end <= 1:
            where = f"compression.begin={self.begin} compression.end={self.end}"
            fix = "write compression.begin=0 compression.end=0.7"
            raise UsageError("a schedule needs 0 <= begin < end <= 1, fractions of the fine-tuning", where, fix)
        if self.updates < 1:
            where = f"compression.updates={self.updates}"
            raise UsageError("compression.updates must be at least 1", where, "write compression.updates=100")
        if self.sparsity is not None and not 0 <= self.sparsity < 1:
            fix = "write a fraction below 1, such as 0.9"
            raise UsageError("the sparsity is the fraction of zeros", f"compression.sparsity={self.sparsity}", fix)
        unknown = [name for name, value in self.budget.items() if value is not None and name != "params"]
        if unknown:
            fix = "use compression.budget.params, or compression=prune_structured, which makes layers smaller"
            what = f"zeros do not change {unknown[0]}, so pruning single weights cannot meet a budget of it"
            raise UsageError(what, f"compression.budget.{unknown[0]}", fix)
        if self.pattern == "2:4" and (self._budget is not None or self.sparsity not in (None, 0.5)):
            what = "the pattern 2:4 leaves half of the weights, no more and no less"
            raise UsageError(what, "compression.pattern=2:4", "leave out compression.sparsity and compression.budget")

    @property
    def settles_late(self) -> bool:
        """Whether weights go while the net is tuned; a lottery ticket is drawn at once."""
        return not self.lottery_ticket

    @property
    def _budget(self) -> float | None:
        value = self.budget.get("params")
        return None if value is None else float(value)

    def __call__(self, net: nn.Module, context: Context) -> Outcome:
        """See :class:`bmx.compression.method.Method`.

        Raises:
            UsageError: a layer that does not exist, nothing to prune, a budget out of range, or no initial weights.
        """
        layers = self.layers(net)
        pruned = copy.deepcopy(net)
        tuning = self.masking(pruned, layers, context.seed)
        if self.lottery_ticket:
            _rewind(pruned, context)
            tuning.hold()
        return self._outcome(pruned, layers, tuning)

    def layers(self, net: nn.Module) -> list[PrunableLayer]:
        """The layers that are pruned and those that are skipped."""
        found = layers_with_weights(net, self.skip)
        if self.pattern != "2:4":
            return found
        weights = dict(net.named_parameters())
        note = "left alone: its inputs do not come in fours"

        def fits(layer: PrunableLayer) -> bool:
            plain = isinstance(layer.module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
            return plain and all(selection.fits_two_of_four(weights[name]) for name in layer.weights)

        kept = [x if not x.weights or fits(x) else PrunableLayer(x.name, x.module, (), note) for x in found]
        if not any(layer.weights for layer in kept):
            fix = "use compression.pattern=none"
            raise UsageError("no layer has inputs that come in fours", "compression.pattern=2:4", fix)
        return kept

    def masking(self, net: nn.Module, layers: Sequence[PrunableLayer], seed: int) -> Masking:
        """The tuning that prunes ``net``; with the schedule ``once`` it has pruned it already."""
        names = [name for layer in layers for name in layer.weights]
        at_once = self.lottery_ticket or self.schedule == "once"
        ramp = Ramp(0.0, 0.0) if at_once else Ramp(self.begin, self.end, self.updates)
        parameters = dict(net.named_parameters())
        weights = sum(parameters[name].numel() for name in names)
        zeros = self._zeros(weights)
        there = sum(parameters[name].numel() - int(parameters[name].count_nonzero()) for name in names)
        if there > zeros:
            fix = f"use a sparsity above {there / weights:.4g}, or compress the run from before"
            what = f"{there:,} of the {weights:,} weights are zero already, and this asks for {zeros:,}"
            raise UsageError(what, "compression.sparsity", fix)
        return Masking(net, names, zeros, self.criterion, self.pattern, ramp, seed)

    def _zeros(self, weights: int) -> int:
        """How many of ``weights`` are pruned; rounded up, so that a budget is never exceeded."""
        if self._budget is None:
            sparsity = self.sparsity if self.sparsity is not None else 0.5 if self.pattern == "2:4" else 0.9
            return min(weights - 1, math.ceil(round(weights * sparsity, 6)))  # 0.7 * 10 is a little more than 7
        stay = int(weights * self._budget) if self._budget <= 1 else int(self._budget)
        if not 1 <= stay <= weights:
            fix = f"choose from 1 to {weights:,}, or a fraction from {1 / weights:.1g} to 1"
            what = f"a budget of {stay:,} of {weights:,} weights cannot be met"
            raise UsageError(what, f"compression.budget.params={self.budget['params']}", fix)
        return weights - stay

    def _outcome(self, net: nn.Module, layers: Sequence[PrunableLayer], tuning: Masking) -> Outcome:
        def finish(tuned: nn.Module, context: Context) -> Outcome:
            final = copy.deepcopy(tuned)
            # The best epoch may be one from before the end of the schedule, or there was no fine-tuning.
            last = Masking(final, tuning.names, tuning.zeros, self.criterion, self.pattern, Ramp(), tuning.seed)
            return Outcome(final, [], changes(final, layers), facts=facts(last))

        return Outcome(net, [], changes(net, layers, tuning), tuning, finish, facts(tuning))


def changes(net: nn.Module, layers: Sequence[PrunableLayer], tuning: Masking | None = None) -> list[LayerChange]:
    """Change of each layer of a pruned net, with a note where ``tuning`` is not settled yet."""
    parameters = dict(net.named_parameters())
    waiting = "" if tuning is None or tuning.settled else ", pruned during fine-tuning"
    rows = []
    for layer in layers:
        before = sum(p.numel() for p in layer.parameters)
        weights = sum(parameters[name].numel() for name in layer.weights)
        zeros = weights - sum(int(parameters[name].count_nonzero()) for name in layer.weights)
        note = layer.note or f"{zeros / weights:.2%} zeros{waiting}"
        rows.append(LayerChange(layer.name, layer.kind, before, before - zeros, note))
    return rows


def facts(tuning: Masking) -> dict[str, Any]:
    """Current sparsity in total and of each weight matrix."""
    weights = tuning.weights()
    zeros = {name: w.numel() - int(torch.count_nonzero(w)) for name, w in weights.items()}
    total = sum(w.numel() for w in weights.values())
    return {
        "weights": total,
        "zeros": sum(zeros.values()),
        "zeros_wanted": tuning.zeros,
        "sparsity": sum(zeros.values()) / total,
        "sparsity_by_weight": {name: zeros[name] / w.numel() for name, w in weights.items()},
    }


def _rewind(net: nn.Module, context: Context) -> None:
    """Rewinds every parameter and buffer of ``net`` to its initial value."""
    initial = context.initial() if context.initial is not None else None
    mine = {name: tensor.shape for name, tensor in net.state_dict().items()}
    if initial is None or {name: tensor.shape for name, tensor in initial.state_dict().items()} != mine:
        what = "the weights that this model had at initialisation are not known"
        fix = "take a run of `bmx train` that was not compressed since, or leave out compression.lottery_ticket"
        raise UsageError(what, "compression.lottery_ticket=true", fix)
    net.load_state_dict(initial.state_dict())
