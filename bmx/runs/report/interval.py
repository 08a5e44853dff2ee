"""How far a measured share may be from the true one."""

from __future__ import annotations

import math


def wilson(successes: float, n: float, z: float = 1.959964) -> tuple[float, float]:
    """The Wilson score interval of a share, 95 % by default: the lower and the upper fraction.

    Holds its coverage for shares near 0 and 1 and for small n, where the plain normal interval does not.
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    if n <= 0:
        return 0.0, 1.0
    share = min(1.0, max(0.0, successes / n))
    scale = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the interval touches 0 or 1 exactly; rounding must not push it past the share itself.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
