"""How far a measured share may be from the true one, and whether two of the same samples differ by more than luck."""

from __future__ import annotations

import math

# Where the chance is below this, a difference is not called luck.
ALPHA = 0.05


def wilson(successes: float, n: float, z: float = 1.959964) -> tuple[float, float]:
    """The Wilson score interval of a share, 95 % by default: the lower and the upper fraction.

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
    """The chance that two models that are equally often right differ at least this much on the same samples.

    Samples that both have right or both wrong say nothing; on the others a coin decides which one is right. The exact
    two-sided test of Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12 (1947). It speaks of these two models: training them anew gives others.

    Args:
        first: samples that only the first model has right.
        second: samples that only the second has right.
    """
    n = first + second
    term = total = 1
    for k in range(min(first, second)):
        term = term * (n - k) // (k + 1)
        total += term
    return min(1.0, 2 * total / 2**n)


def chance(p: float) -> str:
    """A chance as text: "p = 0.032", "p < 0.001"."""
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"
