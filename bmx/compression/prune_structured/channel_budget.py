"""How many channels each group of layers keeps, so that a net is just within its budget."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

from bmx.compression.prune_structured.channel_pruning import KeptChannels

Costs = Mapping[str, float]
# What a net costs at a ratio when some groups are raised above it, and what each group keeps then.
Trial = Callable[[float, Mapping[str, int]], tuple[Costs, Mapping[str, KeptChannels]]]


def within(costs: Costs, allowed: Costs) -> bool:
    """Whether nothing is over its budget."""
    return all(costs[name] <= most for name, most in allowed.items())


def fill(trial: Trial, ratios: Sequence[float], allowed: Costs) -> tuple[float, dict[str, int]]:
    """The smallest ratio that is within the budget, and what groups get back of the room that it leaves.

    Groups are given one step of channels each, in turns, until no group can have another: what is found is within
    one step of the budget, and never over it.

    Args:
        trial: counts costs.
        ratios: to choose from, ascending; the last one is within the budget.
        allowed: the most of each cost.
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
