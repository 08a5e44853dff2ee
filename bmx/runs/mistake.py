"""A wrong answer of a model, as a report shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mistake:
    """One example that was answered wrongly."""

    index: int  # its position in the test set
    input: Any  # uint8 image (H, W, C) or (H, W); or text
    target: int | float | str
    predicted: int | float | str
    probability: float | None  # that the model gave to its answer; None for regression
    loss: float
