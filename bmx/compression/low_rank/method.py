"""Low-rank compression: factorises layers into smaller ones, under one budget for the whole net."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import nn

from bmx.compression.budget import Budget
from bmx.compression.earlier_stages import VALUES, ZEROS
from bmx.compression.low_rank import tensor_factors
from bmx.compression.low_rank.allocation import Ladder, allocate
from bmx.compression.low_rank.curvature import Curvature, measure_curvature
from bmx.compression.low_rank.factored import bias_of, factored_like, fill, reader
from bmx.compression.low_rank.factorizable_layers import FoundLayers, find_targets
from bmx.compression.low_rank.layer_costs import size_costs
from bmx.compression.low_rank.rank_rules import NEEDS_DATA, RULES, SCHEME_RULES, Choices, choices_for, ladder_for
from bmx.compression.method import Context, LayerChange, Outcome
from bmx.compression.module_replacement import replace
from bmx.errors import UsageError, did_you_mean

DEFAULT_BUDGET = Budget(params=0.25)
# Of measured budgets: how often the ranks are lowered until the net itself, not the sum of its layers, is within it.
_ATTEMPTS = 8


@dataclass
class LowRank:
    """Replaces linear and convolution layers by products of two or three smaller ones.

    The layers share the budget: it is never exceeded, and no layer could have a rank higher by one. Layers that no rank
    makes smaller stay whole. A layer that is factored already gets a lower rank.

    Attributes:
        rule: how ranks are chosen: ``kfac`` by the predicted rise of the loss (see
            :func:`.spectra.of_loss`), ``activation`` by the error of the outputs, ``energy`` by that of
            the weights, ``vbmf`` in proportion to :func:`.vbmf.vbmf_rank`, ``ratio`` the same share of
            every layer.
        budget: fields of :class:`bmx.compression.budget.Budget`. If none is set: a quarter of the parameters, and with
            ``vbmf`` the ranks it finds.
        samples: calibration samples of the training split, for the rules that need data.
        skip: layers to skip, by path or pattern.
        decomposition: of convolutions: ``channel``, ``tucker`` or ``cp``; see
            :class:`bmx.compression.low_rank.factored.Factored`.
    """

    place: ClassVar[int] = 1
    smallest: ClassVar[float] = 0.01
    loses: ClassVar[tuple[str, ...]] = (ZEROS, VALUES)

    rule: str = "kfac"
    budget: Budget | Mapping[str, Any] | None = None
    samples: int = 1024
    skip: Sequence[str] = ()
    decomposition: str = "channel"
    _budget: Budget | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        _one_of("rule", self.rule, tuple(RULES))
        _one_of("decomposition", self.decomposition, tuple(SCHEME_RULES))
        if self.rule not in SCHEME_RULES[self.decomposition]:
            known = ", ".join(SCHEME_RULES[self.decomposition])
            what = f"the rule {self.rule} chooses no ranks for a {self.decomposition} decomposition"
            fix = f"choose compression.rule from: {known}; or use compression.decomposition=channel"
            raise UsageError(what, f"compression.rule={self.rule}", fix)
        if isinstance(self.samples, bool) or not isinstance(self.samples, int) or self.samples < 1:
            where = f"compression.samples={self.samples}"
            raise UsageError("calibration takes at least one sample", where, "write compression.samples=1024")
        if self.decomposition != "channel":
            tensor_factors.need_tensorly()
        self._budget = Budget.of(self.budget) or (None if self.rule == "vbmf" else DEFAULT_BUDGET)

    def __call__(self, net: nn.Module, context: Context) -> Outcome:
        """See :class:`bmx.compression.method.Method`.

        Raises:
            UsageError: nothing can be factored, or the budget is below the smallest size, which the message names.
        """
        found = find_targets(net, context.example, self.skip)
        if not found.targets:
            reasons = "; ".join(f"{name or 'the model'}: {why}" for name, why in list(found.left.items())[:3])
            others = "use compression=prune or compression=quantize"
            fix = f"leave out compression.skip, or {others}" if self.skip else others
            raise UsageError(f"no layer can be factored ({reasons})", "compression=low_rank", fix)
        curvature: Mapping[str, Curvature] = {}
        if self.rule in NEEDS_DATA:
            curvature = measure_curvature(net, found.targets, context, self.samples)
        choices = {
            name: choices_for(self.rule, self.decomposition, target, curvature)
            for name, target in found.targets.items()
        }
        plan = _Plan(net, context, choices, self._budget, self.rule)
        made, ranks = plan.carry_out()
        _runs(made, context)
        steps = [{"kind": "low_rank", "layers": ranks}] if ranks else []
        return Outcome(made, steps, _changes(made, found, choices, ranks), facts=self._facts(plan, curvature, ranks))

    def _facts(self, plan: _Plan, curvature: Mapping[str, Curvature], ranks: list[dict[str, Any]]) -> dict[str, Any]:
        facts: dict[str, Any] = {"rule": self.rule, "decomposition": self.decomposition}
        facts["ranks"] = {layer["name"]: layer["ranks"] for layer in ranks}
        facts["calibration_samples"] = next((c.samples for c in curvature.values()), 0)
        facts |= plan.facts
        if self.rule == "kfac":
            facts["predicted_loss_rise"] = plan.lost
        return facts


class _Plan:
    """Finds the sizes that meet a budget, and the net that has them."""

    def __init__(
        self,
        net: nn.Module,
        context: Context,
        choices: Mapping[str, Choices],
        budget: Budget | None,
        rule: str,
    ) -> None:
        self.net, self.context, self.choices, self.budget, self.rule = net, context, choices, budget, rule
        self.facts: dict[str, Any] = {}
        self.lost = 0.0

    def carry_out(self) -> tuple[nn.Module, list[dict[str, Any]]]:
        """The compressed net, and ``name``, ``scheme`` and ``ranks`` of each layer that was factored."""
        if self.budget is None:
            return self._build({name: c.chosen for name, c in self.choices.items()})
        budget = self.budget
        targets = {name: c.target for name, c in self.choices.items()}
        costs = size_costs(budget.unit, targets, {name: c.sizes for name, c in self.choices.items()})
        ladders = [ladder_for(c, *costs[name]) for name, c in self.choices.items()]
        before = sum(ladder.costs[-1] for ladder in ladders)
        # A measured or stored cost is more than the sum of its layers; that of weights and MACs is not.
        exact = budget.is_fraction or budget.unit in ("params", "macs")
        whole = before if budget.is_fraction else budget.measure(self.net, self.context)
        limit = budget.for_layers(before, whole)
        for _ in range(_ATTEMPTS):
            rungs = allocate(ladders, limit, RULES[self.rule])
            if rungs is None:
                break
            chosen = {x.name: x.rungs[rungs[x.name]] for x in ladders}
            made, ranks = self._build(chosen)
            spent = sum(x.costs[rungs[x.name]] for x in ladders)
            measured = spent if exact else budget.measure(made, self.context)
            if exact or measured <= budget.value:
                self.lost = sum(x.losses[rungs[x.name]] for x in ladders)
                after = spent if budget.is_fraction else budget.measure(made, self.context) if exact else measured
                self.facts["budget"] = {
                    "unit": budget.unit, "value": budget.value, "layers_before": before, "layers_limit": limit,
                    "layers_after": spent, "before": whole, "after": after,
                }  # fmt: skip
                return made, ranks
            limit -= 1.02 * (measured - budget.value)
        raise self._too_small(budget, ladders, before, whole)

    def _build(self, chosen: Mapping[str, int | None]) -> tuple[nn.Module, list[dict[str, Any]]]:
        made = copy.deepcopy(self.net)
        ranks: list[dict[str, Any]] = []
        for name, at in chosen.items():
            choices = self.choices[name]
            if at is None or at >= len(choices.sizes):
                continue
            scheme, size = choices.sizes[at]
            layer = choices.target.layer
            bias = bias_of(layer)
            if choices.spectrum is not None:
                parts = list(choices.spectrum.factors(size[0]))
                bias = choices.spectrum.bias(size[0], bias)
            elif scheme == "tucker":
                parts = tensor_factors.tucker_parts(choices.target, (size[0], size[1]))
            else:
                parts = tensor_factors.cp_parts(choices.target, size[0], self.context.seed)
            made = replace(made, made.get_submodule(name), fill(factored_like(layer, scheme, size), parts, bias))
            ranks.append({"name": name, "scheme": scheme, "ranks": list(size)})
        return made, ranks

    def _too_small(self, budget: Budget, ladders: Sequence[Ladder], before: float, whole: float) -> UsageError:
        least = sum(ladder.costs[0] for ladder in ladders)
        unit = budget.unit
        if budget.is_fraction:
            smallest = f"{-(-least * 10_000 // before) / 10_000:g}"
        elif unit in ("params", "macs"):
            smallest = f"{int(whole - before + least)}"
        else:
            rungs = {ladder.name: ladder.rungs[0] for ladder in ladders}
            least = budget.measure(self._build(rungs)[0], self.context)
            smallest = f"{int(least)}" if unit == "bytes" else f"{least:.3g}"
        fix = f"the smallest it can become is compression.budget.{unit}={smallest}"
        what = f"low rank cannot bring this net to {unit}={budget.value:g}"
        return UsageError(what, f"compression.budget.{unit}={budget.value:g}", fix)


def _runs(net: nn.Module, context: Context) -> None:
    """Checks that the factored net runs: a module may read the weight of a layer that has none any more."""
    try:
        with torch.no_grad():
            net(context.example)
    except AttributeError as error:
        fix = "leave that layer alone with compression.skip=[PATH]"
        raise UsageError(f"the net reads the weight of a layer itself: {error}", "compression=low_rank", fix) from error


def _changes(
    net: nn.Module, found: FoundLayers, choices: Mapping[str, Choices], ranks: Sequence[Mapping[str, Any]]
) -> list[LayerChange]:
    factored = {layer["name"]: layer["ranks"] for layer in ranks}
    rows = []
    for name, layer in found.order:
        own = name in found.targets or not any(True for _ in layer.children())
        before = sum(p.numel() for p in layer.parameters(recurse=own))
        after, kind = before, type(reader(layer)).__name__
        if name in factored:
            after = sum(p.numel() for p in net.get_submodule(name).parameters())
            note = f"rank {' × '.join(map(str, factored[name]))} of {choices[name].target.rank}"
        elif name in found.targets:
            note = "kept whole: the budget is better spent here"
        else:
            note = f"left alone: {found.left[name]}"
        rows.append(LayerChange(name, kind, before, after, note))
    return rows


def _one_of(name: str, word: str, known: Sequence[str]) -> None:
    if word not in known:
        fix = did_you_mean(str(word), known)
        raise UsageError(f"compression.{name} cannot be {word!r}", f"compression.{name}={word}", fix)
