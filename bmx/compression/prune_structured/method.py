"""Structured pruning: removes whole channels and attention heads, which makes the net itself smaller."""

from __future__ import annotations

import copy
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bmx.compression.budget import measure
from bmx.compression.earlier_stages import VALUES
from bmx.compression.method import Context, LayerChange, Outcome
from bmx.compression.prunable import check_skip, named_by
from bmx.compression.prune_structured.channel_budget import Costs, fill, within
from bmx.compression.prune_structured.channel_groups import Group
from bmx.compression.prune_structured.channel_pruning import Channels, Importance, KeptChannels, even, find_channels
from bmx.compression.prune_structured.separate_attention import attention_step, separable, separate
from bmx.compression.prune_structured.step_channels import channels_step
from bmx.errors import UsageError, did_you_mean
from bmx.measure.meta_copy import shadow

CRITERIA = ("magnitude", "taylor", "random")
HEADS = ("narrower", "fewer")
BUDGETS = ("params", "macs", "bytes", "latency_ms")


@dataclass
class PruneStructured:
    """Removes the least important channels of every layer, by a fixed ratio or as many as a budget requires.

    Channels that are added, concatenated or otherwise coupled are removed together; the coupling is found by tracing
    channels through the net's code (:mod:`.channel_trace`), as in Fang et al. 2023, "DepGraph: Towards any structural
    pruning". Each group of channels is verified first: a group whose removal does not equal setting its channels to
    zero stays, and the table of layers has the reason. Channels that pass a layer normalisation, which reads all
    channels together, always stay; those inside attention and between two linear layers do not.

    Attributes:
        criterion: ``magnitude``, the norm of all weights of a channel (Li et al. 2017); ``taylor``, weight times
            gradient on calibration samples (Molchanov et al. 2019); ``random``.
        ratio: fraction of the channels of each layer that is pruned.
        budget: ``params``, ``macs`` and ``bytes`` of the weights' file: upper limits on the whole net, as a fraction up
            to 1 of the original, or a count; the smallest ratio within them replaces ``ratio``, and the rest of the
            budget is used up. ``latency_ms``: upper limit on the median for a batch of one in torch on this machine;
            the smallest ratio measured to be within it is taken.
        round_to: the remaining channels are a multiple of it.
        heads: ``narrower`` makes every attention head narrower, ``fewer`` removes whole heads.
        samples: calibration samples, for ``taylor``.
        skip: names of layers that keep their channels; ``*`` matches anything.
    """

    place: ClassVar[int] = 0
    smallest: ClassVar[float] = 0.02
    tuning_loses: ClassVar[tuple[str, ...]] = (VALUES,)

    criterion: str = "magnitude"
    ratio: float = 0.5
    budget: Mapping[str, Any] = field(default_factory=dict)
    round_to: int = 8
    heads: str = "narrower"
    samples: int = 512
    skip: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, known in {"criterion": CRITERIA, "heads": HEADS}.items():
            word = getattr(self, name)
            if word not in known:
                fix = did_you_mean(str(word), known)
                raise UsageError(f"compression.{name} cannot be '{word}'", f"compression.{name}={word}", fix)
        if not 0 <= self.ratio < 1:
            fix = "write a fraction below 1, such as 0.5"
            raise UsageError("the ratio is the fraction of channels that go", f"compression.ratio={self.ratio}", fix)
        for name, usual in {"round_to": 8, "samples": 512}.items():
            value = getattr(self, name)
            if value < 1:
                fix = f"write compression.{name}={usual}"
                raise UsageError(f"compression.{name} must be at least 1", f"compression.{name}={value}", fix)
        for name in self._budget:
            if name not in BUDGETS:
                what = f"structured pruning knows no budget of {name}"
                raise UsageError(what, f"compression.budget.{name}", did_you_mean(name, BUDGETS))

    @property
    def _budget(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.budget.items() if value is not None}

    def __call__(self, net: nn.Module, context: Context) -> Outcome:
        """See :class:`bmx.compression.method.Method`.

        Raises:
            UsageError: no layer has prunable channels, a layer does not exist, or a budget cannot be met; the message
                names the smallest that can.
        """
        check_skip(net, self.skip)
        names = ("params", "macs", *(name for name in BUDGETS[2:] if name in self._budget))
        before = _costs(net, context, names)
        apart = separable(net, _batch(context))
        if apart:
            net = separate(copy.deepcopy(net), apart)
        channels = find_channels(net, _batch(context), self.skip, self.heads == "fewer")
        if not channels.sure:
            raise _nothing_to_take(channels)
        allowed = self._allowed(before)
        ratio, raised = self._search(net, context, channels, allowed) if allowed else (self.ratio, {})
        keep = channels.kept(ratio, self.round_to, raised)
        if all(each.left == each.total for each in keep.values()):
            raise self._nothing_to_do(allowed)
        if self.criterion == "taylor":
            _gradients(net, context, self.samples)
        pruned = copy.deepcopy(net)
        channels.narrow(pruned, keep, self._importance(net, context.seed))
        net.zero_grad(set_to_none=True)
        after = _costs(pruned, context, names)
        counted = {name: most for name, most in allowed.items() if name != "latency_ms"}  # latency is not reproducible
        assert within(after, counted), "the search met what pruning does not"
        groups = {name: [each.left, each.total] for name, each in keep.items()}
        facts = {"ratio": ratio, "kept": groups, "before": before, "after": after, "budget": allowed}
        recipe = [*([attention_step(apart)] if apart else []), channels_step(net, pruned)]
        return Outcome(pruned, recipe, self._changes(net, pruned, channels), facts=facts)

    # -- the budget --------------------------------------------------------------------------------------------------

    def _allowed(self, before: Costs) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, most in self._budget.items():
            found[name] = most if name == "latency_ms" else int(most * before[name]) if most <= 1 else int(most)
        return found

    def _search(
        self, net: nn.Module, context: Context, channels: Channels, allowed: Costs
    ) -> tuple[float, dict[str, int]]:
        """Searches the ratio and extra channels that meet the budget, on the meta device except for latency."""
        counted = {name: most for name, most in allowed.items() if name != "latency_ms"}
        choices = channels.ratios(self.round_to)
        ratio, raised = self._counted(net, context, channels, counted, choices) if counted else (0.0, {})
        if "latency_ms" not in allowed:
            return ratio, raised

        def took(ratio: float) -> dict[str, float]:
            small = copy.deepcopy(net)
            channels.narrow(small, channels.kept(ratio, self.round_to), even)
            return _costs(small, context, ("latency_ms",))

        timed = {"latency_ms": allowed["latency_ms"]}
        if within(took(ratio), timed):  # with nothing raised; so nothing is given back
            return ratio, {}
        self._must_reach(took(choices[-1]), timed)
        larger = [each for each in choices[:-1] if each > ratio]
        at = bisect_left(larger, True, key=lambda ratio: within(took(ratio), timed))
        return [*larger, choices[-1]][at], {}

    def _counted(
        self, net: nn.Module, context: Context, channels: Channels, allowed: Costs, choices: Sequence[float]
    ) -> tuple[float, dict[str, int]]:
        names = tuple(allowed)

        def costs(keep: Mapping[str, KeptChannels], small: nn.Module, example: Tensor) -> Costs:
            channels.narrow(small, keep, even)
            return _costs(small, replace(context, example=example), names)

        def trial(ratio: float, raised: Mapping[str, int]) -> tuple[Costs, dict[str, KeptChannels]]:
            keep = channels.kept(ratio, self.round_to, raised)
            try:
                return costs(keep, shadow(net), context.example.to("meta")), keep
            except Exception:  # what fails on the meta device may well run
                return costs(keep, copy.deepcopy(net), context.example), keep

        self._must_reach(trial(choices[-1], {})[0], allowed)
        return fill(trial, choices, allowed)

    def _must_reach(self, least: Costs, allowed: Costs) -> None:
        if not within(least, allowed):
            name = next(name for name, most in allowed.items() if least[name] > most)
            fewest = least[name] if name != "latency_ms" else round(least[name], 4)
            fix = f"use compression.budget.{name}={fewest} or more, or a smaller compression.round_to"
            what = f"{allowed[name]:,} {name} cannot be reached by taking out channels: the least is {fewest:,}"
            raise UsageError(what, f"compression.budget.{name}={self.budget[name]}", fix)

    def _nothing_to_do(self, allowed: Costs) -> UsageError:
        if allowed:
            name = next(iter(allowed))
            fix = "ask for less, or use another compression"
            return UsageError("the net is within this budget already", f"compression.budget.{name}", fix)
        fix = "use a larger compression.ratio, or compression.round_to=1"
        what = f"no group of channels has {self.round_to} to spare at this ratio"
        return UsageError(what, f"compression.ratio={self.ratio} compression.round_to={self.round_to}", fix)

    def _importance(self, net: nn.Module, seed: int) -> Importance:
        """Scores the channels of a group by all their weights, each layer with equal weight."""
        if self.criterion == "random":
            generator = torch.Generator().manual_seed(seed)
            return lambda group: torch.rand(len(group.classes), generator=generator)
        tensors = {**dict(net.named_parameters(remove_duplicate=False)), **dict(net.named_buffers())}
        norms = {f"{n}.weight" for n, m in net.named_modules() if isinstance(m, nn.modules.batchnorm._NormBase)}

        def numbers(name: str) -> Tensor | None:
            tensor = tensors[name]
            if not isinstance(tensor, nn.Parameter) or (tensor.ndim < 2 and name not in norms):
                return None
            if self.criterion == "magnitude":
                return tensor.detach().square()
            return (tensor.detach() * (0 if tensor.grad is None else tensor.grad)).abs()

        def score(group: Group) -> Tensor:
            total = torch.zeros(len(group.classes))
            for each in group.slices:
                values = numbers(each.tensor)
                if values is not None:
                    summed = values.movedim(each.axis, 0).reshape(values.shape[each.axis], -1).sum(1)
                    total += torch.stack([summed[found[each]].sum() for found in group.classes])
            return total

        return score

    def _changes(self, before: nn.Module, after: nn.Module, channels: Channels) -> list[LayerChange]:
        old = dict(before.named_modules())
        made = {each.tensor.rpartition(".")[0] for group in channels.sure for each in group.slices if each.makes}
        rows = []
        for name, module in after.named_modules():
            mine = [sum(p.numel() for p in m.parameters(recurse=False)) for m in (old[name], module)]
            if not mine[0]:
                continue
            shapes = [[list(p.shape) for p in m.parameters(recurse=False)] for m in (old[name], module)]
            skipped = any(named_by(name, each) for each in self.skip)
            spare = f"no {self.round_to} of its channels to spare"
            why = channels.reasons.get(name, spare if name in made else "its channels stay")
            why = "named in skip" if skipped else why
            note = _sizes(old[name], module) if shapes[0] != shapes[1] else f"left alone: {why}"
            rows.append(LayerChange(name, type(module).__name__, mine[0], mine[1], note))
        return rows


def _batch(context: Context) -> Tensor:
    """Two or more calibration samples for verifying pruned nets."""
    inputs = next(iter(context.calibration(16)))[0]
    return inputs if len(inputs) > 1 else torch.cat((inputs, inputs))


def _nothing_to_take(channels: Channels) -> UsageError:
    some = [f"{name}: {why}" for name, why in channels.reasons.items()][:3]
    what = f"no layer of this net has channels that can go ({'; '.join(some) or 'it has no such layer'})"
    return UsageError(what, "compression=prune_structured", "use compression=prune, low_rank or quantize")


def _sizes(before: nn.Module, after: nn.Module) -> str:
    """``64→32 in, 128→64 out`` of a layer with a weight, or the sizes of its other parameters."""
    first = [next(m.parameters(recurse=False)).shape for m in (before, after)]
    if len(first[0]) < 2 or isinstance(after, nn.Embedding):
        return f"{math.prod(first[0]):,}→{math.prod(first[1]):,} numbers"
    words = [
        f"{a[dim]}→{b[dim]} {word}" for a, b in [first] for dim, word in ((1, "in"), (0, "out")) if a[dim] != b[dim]
    ]
    return ", ".join(words) or f"{list(first[0])}→{list(first[1])}"


def _costs(net: nn.Module, context: Context, names: Sequence[str]) -> dict[str, float]:
    """Cost of a net as ``bmx bench`` measures it; all but latency also of a net on the meta device."""
    found: dict[str, float] = {}
    for name in names:
        weights = net
        if name == "bytes" and context.example.is_meta:
            weights = copy.deepcopy(net).to_empty(device="cpu")
        found[name] = measure(name, weights, context)
    return found


def _gradients(net: nn.Module, context: Context, samples: int) -> None:
    """Accumulates the gradient of the loss on calibration samples in every parameter."""
    net.zero_grad(set_to_none=True)
    done = 0
    for inputs, targets in context.calibration(samples):
        context.loss(net(inputs), targets).mul(len(inputs)).backward()
        done += len(inputs)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad / max(1, done)
