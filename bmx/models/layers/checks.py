"""Validation of model arguments: the shape of the data and the range of each field."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bmx.errors import did_you_mean


def image_shape(model: str, input_shape: Sequence[int]) -> tuple[int, int, int]:
    """``input_shape`` as (channels, height, width).

    Raises:
        ValueError: it is not the shape of an image.
    """
    if len(input_shape) != 3:
        raise ValueError(f"{model} reads images of shape (C, H, W), got data of shape {tuple(input_shape)}")
    channels, height, width = input_shape
    return channels, height, width


def whole(least: int = 1, **fields: int) -> None:
    """Checks that every field is a whole number of at least ``least``.

    Raises:
        ValueError: one is not.
    """
    for name, value in fields.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")


def above_zero(**fields: float) -> None:
    """Checks that every field is a number above 0.

    Raises:
        ValueError: one is not.
    """
    for name, value in fields.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise ValueError(f"{name} must be a number above 0, got {value!r}")


def probability(**fields: float) -> None:
    """Checks that every field is at least 0 and below 1.

    Raises:
        ValueError: one is not.
    """
    for name, value in fields.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
            raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}")


def choice(name: str, value: str, options: Sequence[str]) -> None:
    """Checks that ``value`` is one of ``options``.

    Raises:
        ValueError: it is not; the nearest options are named.
    """
    if value not in options:
        raise ValueError(f"{name}={value!r} is not known: {did_you_mean(str(value), options)}")
