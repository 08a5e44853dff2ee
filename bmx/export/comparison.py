"""Compares the outputs of an exported model with those of the original on a test set."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from bmx.data.arrays import Arrays
from bmx.data.spec import DataSpec
from bmx.engine.device import Device
from bmx.engine.evaluation import Evaluation, Predict, evaluate
from bmx.errors import RunFailed

# Tolerances for quantised models. Two runtimes sum the same numbers in another order, so now and then one rounds to
# the neighbouring grid point, and the layers after it are rounded anew. Largest difference, as a fraction of the
# largest output, and share of the predictions that may change.
ROUNDED, ROUNDED_ANSWERS = 0.05, 0.005


@dataclass(frozen=True)
class ExportComparison:
    """Comparison of a model and its export on the same samples.

    Attributes:
        n: number of samples.
        largest_difference: largest absolute difference of two outputs.
        largest_output: largest absolute output of the original, the scale for differences.
        changed: number of samples whose predicted class differs; 0 for regression.
        original, exported: the metrics of each.
    """

    n: int
    largest_difference: float
    largest_output: float
    changed: int
    original: dict[str, float]
    exported: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def require(self, tolerance: float, what: str) -> None:
        """Checks that the outputs differ by no more than ``tolerance`` times the largest output (or 1).

        Raises:
            RunFailed: they differ by more; the message gives the difference.
        """
        allowed = tolerance * max(1.0, self.largest_output)
        if self.largest_difference <= allowed:  # false for a NaN, as it should be
            return
        raise RunFailed(
            f"the exported model differs from the original by {self.largest_difference:.3g}, more than {allowed:.3g}; "
            f"{self.changed:,} of {self.n:,} answers change",
            what,
            "nothing was kept; try another format, or allow more with tolerance=",
        )

    def require_rounded(self, tolerance: float, what: str) -> None:
        """Checks that two versions of a quantised model, whose layers round their inputs, agree.

        They may differ by ``ROUNDED`` of the largest output (or ``tolerance``, if that is more), and in one prediction
        or ``ROUNDED_ANSWERS`` of all.

        Raises:
            RunFailed: they differ in more; the message gives the number.
        """
        self.require(max(tolerance, ROUNDED), what)
        allowed = max(1, int(ROUNDED_ANSWERS * self.n))
        if self.changed > allowed and tolerance < ROUNDED:
            raise RunFailed(
                f"{self.changed:,} of {self.n:,} answers of the exported model differ, more than {allowed:,}",
                what,
                f"nothing was kept; try another format, or let it pass with tolerance={ROUNDED}",
            )


def compare(original: Predict, exported: Predict, arrays: Arrays, spec: DataSpec) -> ExportComparison:
    """Compares both on every sample, on the CPU, and on the first sample alone: the batch size must not matter."""
    first, second = _Recorded(original), _Recorded(exported)
    cpu = Device(torch.device("cpu"), "32-true")
    was, now = (evaluate(predict, arrays, spec, cpu) for predict in (first, second))
    with torch.inference_mode():
        first_sample, _ = arrays.batch(torch.arange(1))
        alone = [predict(first_sample).double() for predict in (original, exported)]
    outputs, others = first.outputs(), second.outputs()
    difference = max(_largest(outputs - others), _largest(alone[0] - alone[1]))
    return ExportComparison(
        len(arrays), difference, _largest(outputs), _changed(was, now, spec), dict(was.metrics), dict(now.metrics)
    )


class _Recorded:
    """A predictor that records its outputs."""

    def __init__(self, predict: Callable[[Tensor], Tensor]) -> None:
        self.predict = predict
        self.batches: list[Tensor] = []

    def __call__(self, raw: Tensor) -> Tensor:
        returned = self.predict(raw)
        self.batches.append(returned.double())
        return returned

    def outputs(self) -> Tensor:
        return torch.cat(self.batches)


def _largest(numbers: Tensor) -> float:
    largest = float(numbers.abs().max())
    return largest if math.isfinite(largest) else math.nan


def _changed(was: Evaluation, now: Evaluation, spec: DataSpec) -> int:
    return int((was.predicted != now.predicted).sum()) if spec.task == "classification" else 0
