"""Allocates one budget to layers, each of which has several possible sizes."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Order = Literal["slope", "level"]


@dataclass(frozen=True)
class Ladder:
    """Possible sizes of one layer, smallest first; the last is the unchanged layer.

    Attributes:
        name: of the layer.
        rungs: the caller's identifier of each size.
        costs: of each size, strictly increasing.
        losses: of each size, non-increasing.
    """

    name: str
    rungs: Sequence[Any]
    costs: Sequence[float]
    losses: Sequence[float]


def allocate(ladders: Sequence[Ladder], limit: float, order: Order = "slope") -> dict[str, int] | None:
    """Chooses a rung of each ladder so that the costs add up to at most ``limit`` and no higher rung fits.

    Args:
        ladders: the layers.
        limit: largest total cost.
        order: ``slope`` climbs where the loss falls most per unit of cost, by several rungs at once where the gain
            comes late, as with a layer kept whole; ``level`` climbs where the loss is largest, so that all come to the
            same level.

    Returns:
        The number of a rung by name; None where the smallest sizes already cost more than ``limit``.
    """
    at = {ladder.name: 0 for ladder in ladders}
    spent = math.fsum(ladder.costs[0] for ladder in ladders)
    if spent > limit:
        return None
    climb = _climb_hulls if order == "slope" else _climb_levels
    climb(ladders, at, limit - spent)
    return at


def _climb_hulls(ladders: Sequence[Ladder], at: dict[str, int], left: float) -> None:
    """Climbs the corners of the lower convex hulls, steepest first; the greedy choice is the best one along them.

    A ladder whose next corner is out of reach goes on along the hull of the rungs that are within it.
    """
    # The remaining corners of each ladder, the next one last.
    corners = [_hull(ladder, 0, math.inf) for ladder in ladders]
    heap: list[tuple[float, str, int]] = []

    def wait(number: int) -> None:
        ladder = ladders[number]
        if corners[number]:
            low, high = at[ladder.name], corners[number][-1]
            slope = (ladder.losses[low] - ladder.losses[high]) / (ladder.costs[high] - ladder.costs[low])
            # Ties by name, so that the same net is compressed in the same way each time.
            heapq.heappush(heap, (-slope, ladder.name, number))

    for number in range(len(ladders)):
        wait(number)
    while heap:
        _, name, number = heapq.heappop(heap)
        ladder = ladders[number]
        cost = ladder.costs[corners[number][-1]] - ladder.costs[at[name]]
        if cost <= left:
            at[name], left = corners[number].pop(), left - cost
        else:
            corners[number] = _hull(ladder, at[name], ladder.costs[at[name]] + left)
        wait(number)


def _climb_levels(ladders: Sequence[Ladder], at: dict[str, int], left: float) -> None:
    """Climbs one rung where the loss is largest, until no next rung fits."""
    heap = [(-x.losses[0], x.name, number) for number, x in enumerate(ladders) if len(x.costs) > 1]
    heapq.heapify(heap)
    while heap:
        _, name, number = heapq.heappop(heap)
        ladder, rung = ladders[number], at[name]
        cost = ladder.costs[rung + 1] - ladder.costs[rung]
        if cost > left:
            continue  # the remaining budget only shrinks
        at[name], left = rung + 1, left - cost
        if rung + 2 < len(ladder.costs):
            heapq.heappush(heap, (-ladder.losses[rung + 1], name, number))


def _hull(ladder: Ladder, start: int, most: float) -> list[int]:
    """Corners of the lower convex hull of (cost, loss) above ``start``, up to the cost ``most``; the first one last."""
    costs, losses = ladder.costs, ladder.losses
    corners = [start]
    for i in range(start + 1, len(costs)):
        if costs[i] > most:
            break
        while len(corners) > 1:
            a, b = corners[-2], corners[-1]
            turn = (costs[b] - costs[a]) * (losses[i] - losses[a]) - (losses[b] - losses[a]) * (costs[i] - costs[a])
            if turn >= 0:
                break
            corners.pop()
        corners.append(i)
    return corners[:0:-1]
