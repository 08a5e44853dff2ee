"""What a compressed model has to keep to, and by how much it misses that."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bmx.errors import UsageError
from bmx.metrics.standard import main_of

NO_TARGET: dict[str, Any] = {"accuracy_drop": None, "bytes": None, "latency_ms": None, "trials": 8}
"""The group of a configuration that asks for no search."""


@dataclass(frozen=True)
class Target:
    """What a compressed model has to keep to; exactly one of the first three is set.

    Attributes:
        accuracy_drop: percentage points of validation accuracy that may be lost.
        bytes: most bytes of the weights' file.
        latency_ms: most milliseconds for a batch of one.
        trials: compressions that are tried.
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
        """What a sweep is to look for and its bound, as ``objective=`` takes them.

        Args:
            score: the validation metric.
            before: what the model has of it before it is compressed.
        """
        if self.accuracy_drop is not None:
            return "min:cost/nonzero_parameters", f"{score}:{before - self.accuracy_drop / 100 - 1e-9!r}"
        if self.bytes is not None:
            return score, f"min:cost/bytes:{self.bytes!r}"
        assert self.latency_ms is not None
        return score, f"min:cost/latency:{self.latency_ms / 1000!r}"

    def excess(self, result: dict[str, Any]) -> float:
        """By how much a trial misses the target: points, or the logarithm of the ratio; 0 or less if it holds."""
        if self.accuracy_drop is not None:
            return drop(result) - self.accuracy_drop
        if self.bytes is not None:
            return math.log(result["compression"]["after"]["cost"]["bytes"] / self.bytes)
        assert self.latency_ms is not None
        return math.log(1000 * _latency(result) / self.latency_ms)


def drop(result: dict[str, Any]) -> float:
    """Percentage points of accuracy lost; for regression the rise of the RMSE."""
    found = result["compression"]
    before, after = found["before"]["metrics"], found["after"]["metrics"]
    metric = main_of(before)
    assert metric is not None, "every compression measures the score of its task"
    lost = float(before[metric.name] - after[metric.name]) * (1 if metric.higher_is_better else -1)
    return 100 * lost if metric.percent else lost


def _latency(result: dict[str, Any]) -> float:
    """Seconds for one sample; as the sweep measured it that has chosen by it, if there was one."""
    if "latency" in result["cost"]:
        return float(result["cost"]["latency"])
    timings = result["compression"]["after"]["timings"]
    return float(next(t["median"] for t in timings if t["engine"] == "eager" and t["batch_size"] == 1))
