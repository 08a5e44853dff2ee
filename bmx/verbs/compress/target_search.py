"""Bisection search for the kept fraction that meets a compression target."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Two fractions this close to each other are not worth a trial: the ratio of their logarithms.
_NEAR = 1.03


@dataclass(frozen=True)
class SearchTrial:
    """One trial compression.

    Attributes:
        kept: the kept fraction by configuration key.
        folder: its run directory.
        result: of that run; empty where the model could not be compressed to this fraction.
        excess: by how much it violates the target; 0 or less where it holds.
        size: of the compressed model.
        reason: why there is no result.
    """

    kept: dict[str, float]
    folder: Path
    result: dict[str, Any]
    excess: float
    size: float
    reason: str = ""


def single(trial: Callable[[float], SearchTrial], least: float, trials: int, smallest: bool) -> list[SearchTrial]:
    """Bisects one fraction between ``least`` and 1, on a logarithmic scale.

    Args:
        trial: runs the trial of a fraction.
        least: the smallest fraction.
        trials: how many at most.
        smallest: the target holds for large fractions, and the smallest is wanted; otherwise it holds for small
            fractions, and the largest is wanted.
    """
    low, high = least, 1.0
    points: list[SearchTrial] = []
    while len(points) < trials and high / low > _NEAR:
        middle = math.sqrt(low * high)
        point = trial(middle)
        points.append(point)
        if (point.excess <= 1e-9) == smallest:
            high = middle
        else:
            low = middle
    return points
