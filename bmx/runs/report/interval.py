"""Wilson score interval of a proportion, and McNemar's test for two models on the same samples."""

from __future__ import annotations

import math

# Significance level: with a smaller p-value a difference is called significant.
ALPHA = 0.05


def wilson(successes: float, n: float, z: float = 1.959964) -> tuple[float, float]:
    """The Wilson score interval of a proportion, 95 % by default: the lower and the upper fraction.

    Holds its coverage for shares near 0 and 1 and for small n, where the plain normal interval does not.
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    if n < 1:
        return 0.0, 1.0
    share = min(1.0, max(0.0, successes / n))
    scale = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the interval touches 0 or 1 exactly; rounding must not push it past the share itself.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def mcnemar(first: int, second: int) -> float:
    """The p-value of McNemar's exact two-sided test that two models have the same accuracy on the same samples.

    Samples that both have right or both wrong do not count; on the others, under the null hypothesis, each model is
    right with probability 1/2. Q. McNemar, "Note on the sampling error of the difference between correlated
    proportions or percentages", Psychometrika 12 (1947). It applies to these two models, not to retrained ones.

    Args:
        first: number of samples that only the first model has right.
        second: number of samples that only the second has right.
    """
    n = first + second
    term = total = 1
    for k in range(min(first, second)):
        term = term * (n - k) // (k + 1)
        total += term
    return min(1.0, 2 * total / 2**n)


def chance(p: float) -> str:
    """A p-value as text: "p = 0.032", "p < 0.001"."""
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"
