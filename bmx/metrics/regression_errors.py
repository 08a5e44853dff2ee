"""Regression metrics: absolute, squared and relative errors, and explained variance."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bmx.metrics.metric import Metric, Task

if TYPE_CHECKING:
    from torch import Tensor


class _OfRegression(Metric):
    task: ClassVar[Task | None] = "regression"


class RootMeanSquaredError(_OfRegression):
    """The root of the mean squared error."""

    name, label = "rmse", "RMSE"
    higher_is_better = False

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        return float((outputs - targets).square().mean().sqrt())


class MeanAbsoluteError(_OfRegression):
    """The mean absolute error."""

    name, label = "mae", "MAE"
    higher_is_better = False

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        return float((outputs - targets).abs().mean())


class RSquared(_OfRegression):
    """The fraction of the targets' variance that is explained; below 0 where their mean would predict better."""

    name, label = "r2", "R²"
    higher_is_better = True

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        spread = (targets - targets.mean()).square().sum()
        return float(1 - (outputs - targets).square().sum() / spread) if spread > 0 else float("nan")


class MeanAbsolutePercentageError(_OfRegression):
    """The mean absolute error relative to the target, as a fraction such as 0.1; nan where a target is 0."""

    name, label = "mape", "MAPE"
    higher_is_better = False
    percent = True

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        return float(((outputs - targets) / targets).abs().mean()) if bool((targets != 0).all()) else float("nan")
