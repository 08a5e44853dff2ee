"""Chooses the number of channels of each group of layers so that a net is just within its budget."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

from bmx.compression.prune_structured.channel_pruning import KeptChannels

Costs = Mapping[str, float]
# From a ratio, and the extra channels of some groups, to the cost of the net and the channels that each group keeps.
Trial = Callable[[float, Mapping[str, int]], tuple[Costs, Mapping[str, KeptChannels]]]


def within(costs: Costs, allowed: Costs) -> bool:
    """Whether no cost exceeds its budget."""
    return all(costs[name] <= most for name, most in allowed.items())


def fill(trial: Trial, ratios: Sequence[float], allowed: Costs) -> tuple[float, dict[str, int]]:
    """The smallest ratio within the budget, and the extra channels of groups that use up the rest of the budget.

    Groups get one step of channels each, in turns, until no group can have another: the result is within one step of
    the budget, and never over it.

    Args:
        trial: computes the costs.
        ratios: candidates, ascending; the last one is within the budget.
        allowed: upper limit of each cost.
    """
    ratio = ratios[bisect_left(ratios, True, key=lambda ratio: within(trial(ratio, {})[0], allowed))]
    _, groups = trial(ratio, {})
    raised: dict[str, int] = {}
    growing = [name for name, kept in groups.items() if kept.left < kept.total]
    while growing:
        for name in list(growing):
            higher = {**raised, name: raised.get(name, 0) + groups[name].step}
            costs, now = trial(ratio, higher)
            if within(costs, allowed):
                raised = higher
            if not within(costs, allowed) or now[name].left == now[name].total:
                growing.remove(name)
    return ratio, raised
