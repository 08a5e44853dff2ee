"""Formats numbers for reports: 61,706; 416.5 k; 246.8 kB; 97.4 %; 1 min 02 s. A missing value is a dash."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

from bmx.metrics.metric import Metric

MISSING = "–"
_STEPS = ("", "k", "M", "G", "T", "P", "E")


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a finite number (not a bool, not null)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def whole(value: Any) -> str:
    """A count with thousands separated: 61,706."""
    return f"{round(value):,}" if is_number(value) else MISSING


def counted(number: int, what: str) -> str:
    """A number of things: 1 epoch; 3,000 runs."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def short(value: Any) -> str:
    """A large count with one decimal and k, M, G: 416.5 k; below 1,000 as it is."""
    return _scaled(value, "").rstrip()


def size(value: Any) -> str:
    """A number of bytes in decimal units: 246.8 kB."""
    return _scaled(value, "B")


def percent(fraction: Any, of: float | None = None) -> str:
    """A fraction as per cent: 97.4 %; with two decimals where it is a share of more than 1,000.

    Only all is written as 100 % and only none as 0 %: 0.9999 of 1,000 is 99.9 %.
    """
    if not is_number(fraction):
        return _not_finite(fraction)
    digits = 2 if of is not None and of > 1000 else 1
    text = f"{100 * fraction:.{digits}f}"
    least = 10.0**-digits
    if fraction < 1 and float(text) == 100:
        text = f"{100 - least:.{digits}f}"
    if fraction > 0 and float(text) == 0:
        text = f"{least:.{digits}f}"
    return f"{text} %"


def measured(metric: Metric, value: Any, of: float | None = None, digits: int = 4) -> str:
    """A metric's value as it is written: in per cent of so many, or in so many significant figures."""
    return percent(value, of) if metric.percent else figures(value, digits)


def _not_finite(value: Any) -> str:
    """``nan``, ``inf`` or ``-inf``; a dash for what is no number at all."""
    return f"{value:g}" if isinstance(value, float) else MISSING


def fixed(value: float) -> str:
    """A measured value for a column of them, four decimals where they tell it: 0.0842, 2.86e+26, 3.1e-07, nan."""
    if not math.isfinite(value):
        return _not_finite(float(value))
    size_of = abs(value)
    if size_of >= 99_999.99995:
        return f"{value:.2e}"
    return f"{value:.1e}" if 0 < size_of < 0.00005 else f"{value:.4f}"


def figures(value: Any, digits: int = 4) -> str:
    """A measured value in so many significant figures: 0.08412, 12.35, 1,234, 3.1e-06, nan."""
    if not is_number(value):
        return _not_finite(value)
    if value == 0:
        return "0"
    size_of = math.floor(math.log10(abs(value)))
    if size_of < -4 or size_of >= 9:
        return f"{value:.{min(digits, 3) - 1}e}"
    return f"{value:,.{max(0, digits - 1 - size_of)}f}"


def seconds(value: Any) -> str:
    """A time in seconds, in the units one would say: 0.84 s, 31.2 s, 2 min 05 s, 3 h 07 min, 2 d 04 h."""
    if not is_number(value) or value < 0:
        return MISSING
    if value < 9.995:
        return f"{value:.2f} s"
    if value < 59.95:
        return f"{value:.1f} s"
    for limit, unit, small_unit, small in ((3600, "min", "s", 1), (86400, "h", "min", 60), (math.inf, "d", "h", 3600)):
        left = round(value / small)
        big = {1: 60, 60: 60, 3600: 24}[small]
        if left * small < limit:
            return f"{left // big} {unit} {left % big:02d} {small_unit}"
    raise AssertionError("unreachable: the last limit is infinite")


def clock(value: Any) -> str:
    """A time in seconds for a narrow column: 0:31, 12:05, 3:07:20."""
    if not is_number(value) or value < 0:
        return MISSING
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def cut(text: str, most: int) -> str:
    """The text, cut to so many characters with an ellipsis."""
    return text if len(text) <= most else text[: max(0, most - 1)] + "…"


def _scaled(value: Any, unit: str) -> str:
    if not is_number(value):
        return MISSING
    if abs(value) < 1000:
        return f"{value:.0f} {unit}" if float(value).is_integer() else f"{value:.1f} {unit}"
    step = 0
    # 999,960 would be rounded to 1000.0 k: it is 1.0 M.
    while abs(value) >= 999.95 and step < len(_STEPS) - 1:
        value /= 1000
        step += 1
    if abs(value) >= 999_950:
        return f"{value * 1000.0**step:.2e} {unit}"
    return f"{value:,.1f} {_STEPS[step]}{unit}"
