"""Statistics over seeds: confidence intervals of means, paired tests, and multiple-testing correction."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ALPHA = 0.05


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with its 95 % confidence interval (Student's t); ``half`` is None for a single value."""

    value: float
    half: float | None
    n: int


@dataclass(frozen=True)
class PairedComparison:
    """A paired comparison of two configurations, by the differences on their common seeds.

    Attributes:
        difference: mean of first minus second.
        p: two-sided p-value of the paired t-test; None with fewer than two common seeds.
        n: common seeds.
    """

    difference: float
    p: float | None
    n: int


def mean(values: Sequence[float]) -> Mean:
    """The mean of at least one value and the half-width of its 95 % confidence interval."""
    n, centre = len(values), statistics.fmean(values)
    if n < 2:
        return Mean(centre, None, n)
    return Mean(centre, t_quantile(1 - ALPHA / 2, n - 1) * statistics.stdev(values) / math.sqrt(n), n)


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> PairedComparison:
    """Compares two configurations by their values on common seeds: paired t-test.

    Equal differences have no variance to test with; then the sign test is used, which needs six of them to be
    significant.
    """
    common = sorted(first.keys() & second.keys())
    differences = [first[seed] - second[seed] for seed in common]
    n = len(differences)
    if not n:
        return PairedComparison(math.nan, None, 0)
    centre = statistics.fmean(differences)
    if n < 2:
        return PairedComparison(centre, None, n)
    spread = statistics.stdev(differences)
    # Rounding leaves a standard deviation of 1e-17 where there is none.
    if spread <= 1e-12 * max(1.0, abs(centre)):
        return PairedComparison(centre, 1.0 if abs(centre) <= 1e-12 else 2 * 0.5**n, n)
    return PairedComparison(centre, t_two_sided(centre / (spread / math.sqrt(n)), n - 1), n)


def holm(ps: Sequence[float]) -> list[float]:
    """P-values with Holm's correction, which controls the family-wise error rate (Holm 1979)."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    corrected, highest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[i]))
        corrected[i] = highest
    return corrected


def t_two_sided(t: float, freedom: int) -> float:
    """Two-sided p-value of a t statistic."""
    from scipy.special import stdtr  # only where something is compared: a list of runs does without

    return float(2 * stdtr(freedom, -abs(t)))


def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))
