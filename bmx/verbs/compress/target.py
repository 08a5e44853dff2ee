"""Compression targets: a bound on accuracy loss, file size or latency, and by how much a model violates it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bmx.errors import UsageError
from bmx.metrics.standard import main_of

NO_TARGET: dict[str, Any] = {"accuracy_drop": None, "bytes": None, "latency_ms": None, "trials": 8}
"""The target group of a configuration without a search."""


@dataclass(frozen=True)
class Target:
    """Constraint on a compressed model; exactly one of the first three is set.

    Attributes:
        accuracy_drop: largest loss of validation accuracy, in percentage points.
        bytes: largest size of the weights' file.
        latency_ms: largest latency of a batch of one, in milliseconds.
        trials: largest number of trial compressions.
    """

    accuracy_drop: float | None = None
    bytes: float | None = None
    latency_ms: float | None = None
    trials: int = 8

    @classmethod
    def of(cls, cfg: DictConfig) -> Target | None:
        """The target of a configuration; None where nothing is set.

        Raises:
            UsageError: several are set.
        """
        group = OmegaConf.select(cfg, "target")
        if group is None:
            return None
        values = {field.name: group.get(field.name) for field in fields(cls)}
        given = [name for name, value in values.items() if value is not None and name != "trials"]
        if not given:
            return None
        if len(given) > 1:
            fix = "keep one; `bmx compress -m` shows accuracy against size for many"
            raise UsageError(f"{len(given)} targets are set", " ".join(f"target.{name}" for name in given), fix)
        return cls(**values)

    @property
    def by_accuracy(self) -> bool:
        """Whether the smallest model is wanted, rather than the best of a size."""
        return self.accuracy_drop is not None

    def objective(self, score: str, before: float) -> tuple[str, str]:
        """The objective of a sweep and its bound, as ``objective=`` takes them.

        Args:
            score: the validation metric.
            before: its value before compression.
        """
        if self.accuracy_drop is not None:
            return "min:cost/nonzero_parameters", f"{score}:{before - self.accuracy_drop / 100 - 1e-9!r}"
        if self.bytes is not None:
            return score, f"min:cost/bytes:{self.bytes!r}"
        assert self.latency_ms is not None
        return score, f"min:cost/latency:{self.latency_ms / 1000!r}"

    def excess(self, result: dict[str, Any]) -> float:
        """By how much a trial violates the target: points, or the logarithm of the ratio; 0 or less if it holds."""
        if self.accuracy_drop is not None:
            return drop(result) - self.accuracy_drop
        if self.bytes is not None:
            return math.log(result["compression"]["after"]["cost"]["bytes"] / self.bytes)
        assert self.latency_ms is not None
        return math.log(1000 * _latency(result) / self.latency_ms)


def drop(result: dict[str, Any]) -> float:
    """Loss of accuracy in percentage points; for regression the increase of the RMSE."""
    found = result["compression"]
    before, after = found["before"]["metrics"], found["after"]["metrics"]
    metric = main_of(before)
    assert metric is not None, "every compression measures the score of its task"
    lost = float(before[metric.name] - after[metric.name]) * (1 if metric.higher_is_better else -1)
    return 100 * lost if metric.percent else lost


def _latency(result: dict[str, Any]) -> float:
    """Latency of one sample in seconds; as measured by the sweep that selected by it, if there was one."""
    if "latency" in result["cost"]:
        return float(result["cost"]["latency"])
    timings = result["compression"]["after"]["timings"]
    return float(next(t["median"] for t in timings if t["engine"] == "eager" and t["batch_size"] == 1))
