"""How sure one may be: intervals of a mean over seeds, and whether one configuration is better than another."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ALPHA = 0.05


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with its 95 % interval (Student's t); ``half`` is None for a single value."""

    value: float
    half: float | None
    n: int


@dataclass(frozen=True)
class Comparison:
    """Whether a first configuration is better than a second, from the differences on their common seeds.

    Attributes:
        difference: mean of first minus second.
        p: two-sided p-value of the paired t-test; None with fewer than two common seeds.
        n: common seeds.
    """

    difference: float
    p: float | None
    n: int


def mean(values: Sequence[float]) -> Mean:
    """The mean of at least one value and the half width of its 95 % interval."""
    n, centre = len(values), statistics.fmean(values)
    if n < 2:
        return Mean(centre, None, n)
    return Mean(centre, t_quantile(1 - ALPHA / 2, n - 1) * statistics.stdev(values) / math.sqrt(n), n)


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> Comparison:
    """Compare two configurations by their values on the seeds that both have.

    Differences that are all equal leave a t-test nothing to divide by; then the sign test speaks, which needs six of
    them to be sure.
    """
    common = sorted(first.keys() & second.keys())
    differences = [first[seed] - second[seed] for seed in common]
    n = len(differences)
    if not n:
        return Comparison(math.nan, None, 0)
    centre = statistics.fmean(differences)
    if n < 2:
        return Comparison(centre, None, n)
    spread = statistics.stdev(differences)
    # Rounding leaves a spread of 1e-17 where there is none.
    if spread <= 1e-12 * max(1.0, abs(centre)):
        return Comparison(centre, 1.0 if abs(centre) <= 1e-12 else 2 * 0.5**n, n)
    return Comparison(centre, t_two_sided(centre / (spread / math.sqrt(n)), n - 1), n)


def holm(ps: Sequence[float]) -> list[float]:
    """P-values corrected for their number, so that the chance of even one false alarm keeps its level (Holm 1979)."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    corrected, highest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[i]))
        corrected[i] = highest
    return corrected


def t_two_sided(t: float, freedom: int) -> float:
    """The chance of a Student's t at least this far from zero."""
    if t * t < freedom:  # near zero the complement keeps the digits
        return 1 - _incomplete_beta(0.5, freedom / 2, t * t / (freedom + t * t))
    return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def t_quantile(probability: float, freedom: int) -> float:
    """The t below which a Student's t lies with this probability, above one half."""
    low, high = 0.0, 1.0
    while 1 - t_two_sided(high, freedom) / 2 < probability:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        if 1 - t_two_sided(middle, freedom) / 2 < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (Abramowitz & Stegun 26.5.8)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    tiny = 1e-300
    c, d = 1.0, 1 / max(1 - (a + b) * x / (a + 1), tiny)
    total = d
    for m in range(1, 300):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + step * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + step / c
            c = c if abs(c) > tiny else tiny
            total *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * total / a
