"""A misclassified sample, as a report shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mistake:
    """One sample with a wrong prediction."""

    index: int  # its position in the test set
    input: Any  # uint8 image (H, W, C) or (H, W); or text
    target: int | float | str
    predicted: int | float | str
    probability: float | None  # of the predicted class; None for regression
    loss: float
