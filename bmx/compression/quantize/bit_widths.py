"""How many bits each layer needs for the model's score to hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Rungs = Mapping[str, Sequence[int]]
"""For each layer the bits it may have, fewest first; the last are those of floats."""


def least_bits(
    rungs: Rungs,
    sizes: Mapping[str, int],
    score: Callable[[Mapping[str, int]], float],
    whole: float,
    drop: float,
) -> tuple[dict[str, int], dict[str, Any]]:
    """Fewest bits with which the score falls by no more than ``drop``, by raising the most sensitive layers first.

    Each layer is tried alone at its fewest bits. Layers are then raised by one rung, those first whose score fell most
    (the smaller of two equals, which costs less), then by the next, and the shortest beginning of that list that holds
    is found by bisection: the score is taken to grow with every raise.

    Args:
        rungs: what may be chosen.
        sizes: weights of each layer.
        score: of the model with these bits, higher is better.
        whole: the score with every layer in floats.
        drop: largest fall of it.

    Returns:
        Bits of each layer, and the facts: what each layer alone loses, the scores.
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
