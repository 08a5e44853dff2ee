"""Compression towards a target: how much can go is searched for on the validation set, and tested once."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from bmx.engine.fit import best_file
from bmx.errors import RunFailed, UsageError
from bmx.runs.report import compression as report
from bmx.runs.report import pareto
from bmx.verbs.before_after import Change
from bmx.verbs.compound import compound_run, inner_run
from bmx.verbs.compressing import find_parent, prepare_compression
from bmx.verbs.pipeline import check as check_pipeline
from bmx.verbs.pipeline import is_pipeline, take_over, words
from bmx.verbs.target_search import Point, several, single

# What is left of a model, as a field of each method: the least that is tried.
_LEAST = {
    "bmx.compression.low_rank.LowRank": 0.01,
    "bmx.compression.prune.Prune": 0.005,
    "bmx.compression.prune_structured.PruneStructured": 0.02,
    "bmx.compression.deep.Deep": 0.005,
}
_FIELD = "budget.params"

# Compresses by a configuration into a directory, measured on the validation set.
Compress = Callable[[DictConfig, Path], dict[str, Any]]


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
            UsageError: several are set, or a number that cannot be a target.
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
        for name in (*given, "trials"):
            value, least = values[name], 0 if name == "accuracy_drop" else 1e-9
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
                raise UsageError(f"target.{name} must be a number above 0, got {value!r}", f"target.{name}={value}")
        return cls(**values)

    @property
    def by_accuracy(self) -> bool:
        """Whether the smallest model is wanted, rather than the best of a size."""
        return self.accuracy_drop is not None

    def holds(self, result: dict[str, Any]) -> bool:
        """Whether a trial keeps to the target."""
        return self.excess(result) <= 1e-9

    def excess(self, result: dict[str, Any]) -> float:
        """By how much a trial misses the target: points, or the logarithm of the ratio; 0 or less if it holds."""
        if self.accuracy_drop is not None:
            return _drop(result) - self.accuracy_drop
        if self.bytes is not None:
            return math.log(result["compression"]["after"]["cost"]["bytes"] / self.bytes)
        assert self.latency_ms is not None
        return math.log(1000 * _latency(result) / self.latency_ms)


def check(cfg: DictConfig, target: Target) -> None:
    """Finds out whether there is something to search over.

    Raises:
        UsageError: a method without a size to vary, no validation set, or a package that is missing.
    """
    named = knobs(cfg)
    if not named:
        fix = "use low_rank, prune, prune_structured or deep, or a pipeline with one of them"
        raise UsageError("this compression has no size to search over", "target", fix)
    prepared = check_pipeline(cfg) if is_pipeline(cfg) else prepare_compression(cfg)
    if prepared.data.val is None:
        fix = "train the run with data.val_size=0.1"
        raise UsageError("a target needs a validation set to search on", "data.val_size=0", fix)
    if prepared.data.spec.task != "classification" and target.by_accuracy:
        raise UsageError("this model has no accuracy", "target.accuracy_drop", "use target.bytes")
    if len(named) > 1:
        from bmx.verbs.target_search import need_optuna

        need_optuna()


def knobs(cfg: DictConfig) -> dict[str, float]:
    """The fields that say how much is left, as paths below ``compression``, each with the least that is tried."""
    if not is_pipeline(cfg):
        least = _LEAST.get(str(cfg.compression._target_))
        return {} if least is None else {_FIELD: least}
    found = {}
    for word in words(cfg):
        least = _LEAST.get(str(cfg.compression[word]._target_))
        if least is not None:
            found[f"{word}.{_FIELD}"] = least
    return found


def search(cfg: DictConfig, target: Target, run_dir: Path | None, quiet: bool, compress: Compress) -> dict[str, Any]:
    """Searches for the smallest model that keeps to the target, or the best of a size, and tests that one.

    One fraction is bisected: what is left and what is lost are taken to rise and fall together. Several, in a
    pipeline, are searched by Optuna. Each trial is a run in ``trials/``, with its fine-tuning.

    Args:
        cfg: of ``bmx compress`` with a target.
        target: what has to hold.
        run_dir: the run directory; made under ``cfg.outputs`` if None.
        quiet: print nothing.
        compress: makes one trial.

    Raises:
        RunFailed: no trial kept to the target; says which came nearest.
    """
    prepared = check_pipeline(cfg) if is_pipeline(cfg) else prepare_compression(cfg)
    parent, points = find_parent(cfg), list[Point]()

    def make(run_dir: Path) -> dict[str, Any]:
        trials = _Trials(cfg, target, run_dir / "trials", compress, quiet)
        points.extend(_search(knobs(cfg), target, trials, int(prepared.cfg.seed)))
        best = _best(points, target)
        change = Change(epochs=int(best.result.get("epochs") or 0), facts={"kept": best.kept})
        outcome = take_over(prepared, parent, best_file(best.folder), run_dir, change)
        outcome["trials"] = [_facts(point, target) for point in points]
        outcome["metrics"] = {f"val/{k}": v for k, v in _after(best.result).items()} | outcome["metrics"]
        return outcome

    result, run_dir = compound_run(prepared, "compress", parent, run_dir, make)
    if cfg.plots and result["status"] == "done":
        pareto.draw([_drawn(point) for point in points], run_dir / "plots" / "pareto.png", "validation")
    if not quiet:
        report.show(result, run_dir)
    return result


class _Trials:
    """Makes trials, or takes up those that an interrupted search has made."""

    def __init__(self, cfg: DictConfig, target: Target, folder: Path, compress: Compress, quiet: bool) -> None:
        self.cfg, self.target, self.folder, self.compress, self.quiet = cfg, target, folder, compress, quiet
        self.number = 0

    def __call__(self, kept: dict[str, float]) -> Point:
        self.number += 1
        where = self.folder / f"{self.number:02d}"

        def make(begun: bool) -> dict[str, Any]:
            return self.compress(self._alone(kept, where if begun else None), where)

        try:
            found = inner_run(where, make)
        except UsageError as error:  # a budget that this model cannot meet, with the others it could
            return self._say(Point(kept, where, {}, math.inf, math.inf, error.what))
        size = float(found["compression"]["after"]["cost"]["nonzero_parameters"])
        if self.target.bytes is not None:
            size = float(found["compression"]["after"]["cost"]["bytes"])
        return self._say(Point(kept, where, found, self.target.excess(found), size))

    def _alone(self, kept: dict[str, float], resume: Path | None) -> DictConfig:
        """The configuration of one trial."""
        alone = copy.deepcopy(self.cfg)
        with open_dict(alone):
            alone.target = None
            alone.resume = str(resume) if resume is not None else None
            alone.plots = False
            alone.engines = ["eager"] if self.target.latency_ms is not None else []
            alone.name = f"trial {self.number}"
            for path, fraction in kept.items():
                OmegaConf.update(alone.compression, path, fraction)
        return alone

    def _say(self, point: Point) -> Point:
        if not self.quiet:
            left = ", ".join(f"{path.removesuffix('.' + _FIELD)} {kept:.3g}" for path, kept in point.kept.items())
            said = point.reason or f"{-_drop(point.result):+.2f} points on the validation set, {point.size:,.0f} left"
            verdict = "keeps to the target" if point.excess <= 1e-9 else "does not"
            print(f"trial {self.number}  {left}: {said}: {verdict}", flush=True)
        return point


def _search(named: dict[str, float], target: Target, trials: _Trials, seed: int) -> list[Point]:
    if len(named) == 1:
        path, least = next(iter(named.items()))
        return single(lambda kept: trials({path: kept}), least, int(target.trials), smallest=target.by_accuracy)
    return several(trials, named, int(target.trials), seed, smallest=target.by_accuracy)


def _best(points: list[Point], target: Target) -> Point:
    held = [point for point in points if point.excess <= 1e-9]
    if not held:
        nearest = min(points, key=lambda point: point.excess)
        said = nearest.reason or f"it lost {_drop(nearest.result):.2f} points with {nearest.size:,.0f} left"
        kept = ", ".join(f"{path}={fraction:.3g}" for path, fraction in nearest.kept.items())
        raise RunFailed(
            f"none of {len(points)} compressions kept to the target; the nearest was {kept}: {said}",
            "target",
            "allow more, fine-tune longer (epochs=), or try more (target.trials=)",
        )
    if target.by_accuracy:
        return min(held, key=lambda point: point.size)
    return min(held, key=lambda point: _drop(point.result))


def _facts(point: Point, target: Target) -> dict[str, Any]:
    facts: dict[str, Any] = {"kept": point.kept, "run": str(point.folder), "holds": point.excess <= 1e-9}
    if not point.result:
        return facts | {"reason": point.reason}
    after = point.result["compression"]["after"]
    return facts | {"drop": _drop(point.result), "cost": after["cost"], "metrics": after["metrics"]}


def _drawn(point: Point) -> dict[str, Any]:
    name = ", ".join(f"{fraction:.3g}" for fraction in point.kept.values())
    return {"name": name, "after": point.result.get("compression", {}).get("after")}


def _after(result: dict[str, Any]) -> dict[str, float]:
    return dict(result["compression"]["after"]["metrics"])


def _drop(result: dict[str, Any]) -> float:
    """Percentage points of accuracy lost; for regression the rise of the RMSE."""
    found = result["compression"]
    before, after = found["before"]["metrics"], found["after"]["metrics"]
    if "accuracy" in before:
        return 100 * float(before["accuracy"] - after["accuracy"])
    return float(after["rmse"] - before["rmse"])


def _latency(result: dict[str, Any]) -> float:
    timings = result["compression"]["after"]["timings"]
    return float(next(t["median"] for t in timings if t["engine"] == "eager" and t["batch_size"] == 1))
