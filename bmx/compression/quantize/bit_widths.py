"""Mixed precision: searches the fewest bits of each layer for a tolerated drop of the score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Rungs = Mapping[str, Sequence[int]]
"""Candidate bits of each layer, fewest first; the last are those of floats."""


def least_bits(
    rungs: Rungs,
    sizes: Mapping[str, int],
    score: Callable[[Mapping[str, int]], float],
    whole: float,
    drop: float,
) -> tuple[dict[str, int], dict[str, Any]]:
    """The fewest bits with which the score drops by at most ``drop``, raising the most sensitive layers first.

    Each layer is scored alone at its fewest bits. Layers are then raised by one rung, those with the largest drop first
    (the smaller of two equals, which costs less), then by the next rung, and the shortest prefix of that list with a
    sufficient score is found by bisection, assuming that the score grows with every raise.

    Args:
        rungs: candidate bits.
        sizes: number of weights of each layer.
        score: of the model with these bits, higher is better.
        whole: the score with every layer in floats.
        drop: largest tolerated drop of it.

    Returns:
        Bits of each layer, and the facts: the drop of each layer alone, the scores.
    """
    top = {name: bits[-1] for name, bits in rungs.items()}
    alone = {name: whole - score({**top, name: bits[0]}) for name, bits in rungs.items()}
    order = sorted(rungs, key=lambda name: (-alone[name], sizes[name]))
    highest = max(len(bits) for bits in rungs.values())
    raises = [name for level in range(1, highest) for name in order if level < len(rungs[name])]

    def chosen(count: int) -> dict[str, int]:
        level = dict.fromkeys(rungs, 0)
        for name in raises[:count]:
            level[name] += 1
        return {name: rungs[name][at] for name, at in level.items()}

    scores: dict[int, float] = {len(raises): whole}

    def holds(count: int) -> bool:
        if count not in scores:
            scores[count] = score(chosen(count))
        return scores[count] >= whole - drop

    low, high = 0, len(raises)
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    facts = {"sensitivity": alone, "score": whole, "score_quantised": scores[high], "tried": len(scores) + len(alone)}
    return chosen(high), facts
