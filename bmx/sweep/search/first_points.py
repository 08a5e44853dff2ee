"""Initial points of a search, given by the user."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bmx.errors import UsageError, did_you_mean
from bmx.sweep.search.space import Dimension, Space

_KEY = "hydra.sweeper.first"


def first_points(space: Space, points: Iterable[Any]) -> list[dict[str, Any]]:
    """Points as names and values of a space's dimensions.

    Args:
        space: what is searched.
        points: each a mapping from keys to values; keys may be nested, and missing ones are sampled.

    Raises:
        UsageError: not a mapping, a key that is not searched over, or a value outside its range.
    """
    return [_named(space, point) for point in points]


def _named(space: Space, point: Any) -> dict[str, Any]:
    if not isinstance(point, Mapping):
        raise UsageError(f"a first point must name keys and values, not {point!r}", _KEY, "write first=[{lr: 0.01}]")
    flat = dict(_flat(point))
    dimensions = {one.key: one for one in space.dimensions}
    dimensions |= {one.key: one for one in space.brought_along({key: str(value) for key, value in flat.items()})}
    named = {}
    for key, value in flat.items():
        if key not in dimensions:
            raise UsageError(f"{key} is not searched over", _KEY, did_you_mean(key, list(dimensions)))
        named[dimensions[key].name] = _value(dimensions[key], value)
    return named


def _value(one: Dimension, value: Any) -> Any:
    if one.choices:
        if str(value) in one.choices:
            return str(value)
        raise UsageError(f"{one.key} cannot be {value}", _KEY, f"one of {', '.join(one.choices)}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not one.low <= value <= one.high:
        raise UsageError(
            f"{one.key} cannot be {value}", _KEY, f"a number from {one.text(one.low)} to {one.text(one.high)}"
        )
    return round(value) if one.whole else float(value)


def _flat(point: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in point.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
