"""Pruning criteria: scores of the weights, and exact selection of the lowest."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

CRITERIA = ("magnitude", "lamp", "random")
PATTERNS = ("none", "2:4")

Weights = Mapping[str, Tensor]
Masks = dict[str, Tensor]


def scores(weights: Weights, criterion: str, seed: int = 0) -> dict[str, Tensor]:
    """Scores each weight, comparable across layers; the lowest are pruned first.

    Args:
        weights: by name.
        criterion: ``magnitude``, the absolute value; ``lamp``, its square over the sum of all squares of the layer
            that are not smaller, so that every layer keeps its largest weights (Lee et al. 2021, "Layer-adaptive
            sparsity for the magnitude-based pruning"); ``random``, a number drawn once for each weight, with zeros
            always lowest.
        seed: of ``random``.
    """
    if criterion == "magnitude":
        return {name: weight.detach().abs() for name, weight in weights.items()}
    if criterion == "lamp":
        return {name: _lamp(weight.detach()) for name, weight in weights.items()}
    generator = torch.Generator().manual_seed(seed)
    drawn = {name: torch.rand(weight.shape, generator=generator) for name, weight in weights.items()}
    # Pruned weights stay pruned whatever is drawn.
    return {name: (draw + 0.5).to(weights[name].device) * (weights[name] != 0) for name, draw in drawn.items()}


def _lamp(weight: Tensor) -> Tensor:
    score = torch.zeros(weight.numel(), dtype=torch.float64, device=weight.device)
    # In gradual pruning most weights are zero, and need no sorting.
    places = weight.flatten().nonzero().flatten()
    ascending, order = weight.flatten()[places].abs().sort()
    squares = ascending.double().square()
    not_smaller = squares.flip(0).cumsum(0).flip(0)
    score[places[order]] = squares / not_smaller.clamp(min=torch.finfo(torch.float64).tiny)
    return score.view_as(weight)


def lowest(score: Weights, count: int, pattern: str = "none") -> Masks:
    """Masks, true where a weight is pruned: the ``count`` lowest scores over all layers, ties in order.

    Args:
        score: by name, as :func:`scores` returns it.
        count: how many are pruned; with ``2:4`` at most :func:`most_zeros`.
        pattern: ``2:4`` prunes at most two of four neighbours: along the inputs of a linear layer, along the input
            channels of a convolution.
    """
    flat = torch.cat([s.flatten() for s in score.values()])
    if pattern == "2:4":
        candidates = torch.cat([_lowest_two_of_four(s).flatten() for s in score.values()])
        flat = flat.where(candidates, torch.inf)
    gone = torch.zeros_like(flat, dtype=torch.bool)
    if count > 0:
        # Faster than sorting for millions of weights.
        last = flat.kthvalue(count).values
        gone = flat < last
        gone[(flat == last).nonzero().flatten()[: count - int(gone.sum())]] = True
    parts = gone.split([s.numel() for s in score.values()])
    return {name: part.view_as(s) for (name, s), part in zip(score.items(), parts, strict=True)}


def fits_two_of_four(weight: Tensor) -> bool:
    """Whether the number of inputs of a linear layer or a convolution is a multiple of four."""
    return weight.shape[1] % 4 == 0


def most_zeros(weights: Weights, pattern: str) -> int:
    """Largest number of weights that the pattern allows to prune."""
    total = sum(w.numel() for w in weights.values())
    return total // 2 if pattern == "2:4" else total


def _lowest_two_of_four(score: Tensor) -> Tensor:
    inputs_last = score.movedim(1, -1)
    fours = inputs_last.reshape(-1, 4)
    lowest = torch.zeros_like(fours, dtype=torch.bool)
    lowest.scatter_(1, fours.argsort(dim=1, stable=True)[:, :2], True)
    return lowest.view(inputs_last.shape).movedim(-1, 1)
