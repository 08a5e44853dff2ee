"""Parses durations of the command line."""

from __future__ import annotations

import re

from bmx.errors import UsageError

_UNITS = {"": 1.0, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(value: float | str | None, key: str) -> float | None:
    """Seconds of ``90`` (seconds), ``30s``, ``10min``, ``1.5h``, ``1d``; None for null.

    Raises:
        UsageError: an invalid duration, or one not greater than 0.
    """
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(value).strip())
    if isinstance(value, bool) or not match or match[2] not in _UNITS or float(match[1]) <= 0:
        fix = f"write {key}=90 (seconds), {key}=10min or {key}=2h"
        raise UsageError(f"{key} must be a time, got {value!r}", f"{key}={value}", fix)
    return float(match[1]) * _UNITS[match[2]]
