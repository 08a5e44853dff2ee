"""Compression to a target: searches the kept fraction on the validation set, and tests the chosen model once."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from bmx.compression.method import Method
from bmx.engine.build import make_method
from bmx.engine.evaluation import evaluate
from bmx.engine.fit import best_file
from bmx.errors import RunFailed, UsageError
from bmx.runs.report import compression as report
from bmx.runs.report import pareto
from bmx.sweep.search.settings import need_optuna
from bmx.tasks.losses import objective_for
from bmx.verbs.compress.comparison import Change
from bmx.verbs.compress.parent import Parent, find_parent
from bmx.verbs.compress.pipeline import is_pipeline, take_over, words
from bmx.verbs.compress.target import NO_TARGET, Target, drop
from bmx.verbs.compress.target_search import SearchTrial, single
from bmx.verbs.compress.trial_sweep import TrialSweep
from bmx.verbs.recording.chosen_words import in_sweep
from bmx.verbs.recording.fit_run import part_of
from bmx.verbs.recording.nested_run import compound_run, inner_run

# The field of a method that sets the fraction of the model that is kept.
_FIELD = "budget.params"

# Compresses a model according to a configuration, into a directory; evaluated on the validation set.
Compress = Callable[[DictConfig, Path], dict[str, Any]]


def check(cfg: DictConfig, target: Target, begun: Parent) -> None:
    """Checks that there is something to search over.

    Raises:
        UsageError: a method without a kept fraction, no validation set, or a package that is missing.
    """
    named = knobs(cfg)
    if not named:
        fix = "use low_rank, prune, prune_structured or deep, or a pipeline with one of them"
        raise UsageError("this compression has no size to search over", "target", fix)
    if not target.by_accuracy and all(getattr(method, "keeps_size", False) for method in named.values()):
        key = "target.bytes" if target.bytes is not None else "target.latency_ms"
        fix = "use target.accuracy_drop, or low_rank or prune_structured; `bmx export format=packed` leaves zeros out"
        what = "weights that are zero stay in the file and are computed with, however many there are"
        raise UsageError(what, f"{key}={getattr(target, key.partition('.')[2]):g}", fix)
    prepared = begun.prepared
    if prepared.data.val is None:
        fix = "train the run with data.val_size=0.1"
        raise UsageError("a target needs a validation set to search on", "data.val_size=0", fix)
    if prepared.data.spec.task != "classification" and target.by_accuracy:
        raise UsageError("this model has no accuracy", "target.accuracy_drop", "use target.bytes")
    if len(named) > 1:
        need_optuna("a target over several stages", "target", "keep one stage that has a budget")


def knobs(cfg: DictConfig) -> dict[str, Method]:
    """The fields that set a kept fraction, as paths below ``compression``, each with its method."""
    if is_pipeline(cfg):
        nodes = {f"{word}.{_FIELD}": cfg.compression[word] for word in words(cfg)}
    else:
        nodes = {_FIELD: cfg.compression}
    methods = {path: make_method(node) for path, node in nodes.items()}
    return {path: method for path, method in methods.items() if hasattr(method, "smallest")}


def search(
    cfg: DictConfig, target: Target, begun: Parent, run_dir: Path | None, quiet: bool, compress: Compress
) -> dict[str, Any]:
    """Searches for the smallest model that meets the target, or the best of a size, and tests that one.

    A single fraction is bisected, assuming that accuracy rises and falls with it. Several, in a pipeline, are
    searched by a sweep whose bound is the target. Each trial is a run in ``trials/``, with its fine-tuning, and none
    of them sees the test set.

    Args:
        cfg: of ``bmx compress`` with a target.
        target: the constraint.
        begun: what the check returned.
        run_dir: the run directory; made under ``cfg.outputs`` if None.
        quiet: print nothing.
        compress: runs one trial.

    Raises:
        RunFailed: no trial met the target; the message names the nearest.
    """
    prepared, parent, points = begun.prepared, begun.model, list[SearchTrial]()

    def make(run_dir: Path) -> dict[str, Any]:
        trials = _Trials(cfg, target, run_dir / "trials", compress, quiet)
        least = {path: float(getattr(method, "smallest")) for path, method in knobs(cfg).items()}  # noqa: B009
        points.extend(_search(least, trials, begun))
        best = _best(points, target)
        change = Change(epochs=int(best.result["compression"]["epochs"]), facts={"kept": best.kept})
        outcome = take_over(prepared, parent, best_file(best.folder), run_dir, change)
        return outcome | {"trials": [_facts(point, target) for point in points]}

    result, run_dir = compound_run(prepared, "compress", parent, run_dir, make, quiet)
    if cfg.plots and result["status"] == "done":
        pareto.draw([_drawn(point) for point in points], run_dir / "plots" / "pareto.png", "validation")
    if not quiet:
        report.show(result, run_dir)
    return result


def _before(begun: Parent) -> dict[str, float]:
    """The validation metrics of the model before compression."""
    prepared = begun.prepared
    model = copy.deepcopy(begun.model.predictor).to(prepared.device.where)
    return evaluate(model, part_of(prepared.data, "val"), prepared.data.spec, prepared.device).metrics


class _Trials:
    """Runs trials, or reuses those of an interrupted search."""

    def __init__(self, cfg: DictConfig, target: Target, folder: Path, compress: Compress, quiet: bool) -> None:
        self.cfg, self.target, self.folder, self.compress, self.quiet = cfg, target, folder, compress, quiet
        self.number = 0

    def one_by_one(self, path: str, least: float) -> list[SearchTrial]:
        """Bisects the fraction at ``path``."""
        return single(lambda kept: self._one({path: kept}), least, self.target.trials, smallest=self.target.by_accuracy)

    def together(self, least: dict[str, float], begun: Parent) -> list[SearchTrial]:
        """Searches several fractions jointly, in a sweep."""
        cfg = self._alone({})
        prepared = begun.prepared
        cfg.seed = prepared.cfg.seed
        # Trials that are selected by latency must not disturb each other, nor the other jobs of a sweep.
        jobs = "1" if in_sweep(self.folder.parent) or self.target.latency_ms is not None else "auto"
        keys = {f"compression.{path}": low for path, low in least.items()}
        score = objective_for(prepared.data.spec).scored.name
        wanted = self.target.objective(f"val/{score}", _before(begun)[score])
        sweep = TrialSweep(cfg, self.folder, keys, wanted, self.target.trials, jobs)
        points = []
        for run, kept, end in sweep.run():
            self.number += 1
            named = {key.removeprefix("compression."): fraction for key, fraction in kept.items()}
            points.append(self._say(self._point(named, run, end.result if end.state == "done" else {}, end.reason)))
        return points

    def _one(self, kept: dict[str, float]) -> SearchTrial:
        self.number += 1
        where = self.folder / f"{self.number:02d}"

        def make(begun: bool) -> dict[str, Any]:
            alone = self._alone(kept, f"trial {self.number}")
            alone.resume = str(where) if begun else None
            return self.compress(alone, where)

        try:
            return self._say(self._point(kept, where, inner_run(where, make)))
        except UsageError as error:  # this model cannot meet the budget; other trials may
            return self._say(self._point(kept, where, {}, error.what))

    def _point(self, kept: dict[str, float], where: Path, result: dict[str, Any], reason: str = "") -> SearchTrial:
        if not result:
            return SearchTrial(kept, where, {}, math.inf, math.inf, reason)
        cost = result["compression"]["after"]["cost"]
        size = float(cost["nonzero_parameters" if self.target.bytes is None else "bytes"])
        return SearchTrial(kept, where, result, self.target.excess(result), size)

    def _alone(self, kept: dict[str, float], name: str | None = None) -> DictConfig:
        """The configuration of one trial: evaluated on the validation set, without plots."""
        alone = copy.deepcopy(self.cfg)
        with open_dict(alone):
            alone.target, alone.resume, alone.name = dict(NO_TARGET), None, name
            alone.run = str(find_parent(self.cfg).resolve())
            alone.split = "val"
            alone.plots = False
            alone.engines = ["eager"] if self.target.latency_ms is not None else []
            for path, fraction in kept.items():
                OmegaConf.update(alone.compression, path, fraction)
        return alone

    def _say(self, point: SearchTrial) -> SearchTrial:
        if not self.quiet:
            left = ", ".join(f"{path.removesuffix('.' + _FIELD)} {kept:.3g}" for path, kept in point.kept.items())
            said = point.reason or f"{-drop(point.result):+.2f} points on the validation set, {point.size:,.0f} left"
            verdict = "keeps to the target" if point.excess <= 1e-9 else "does not"
            print(f"trial {self.number}  {left}: {said}: {verdict}", flush=True)
        return point


def _search(named: dict[str, float], trials: _Trials, begun: Parent) -> list[SearchTrial]:
    if len(named) == 1:
        return trials.one_by_one(*next(iter(named.items())))
    return trials.together(named, begun)


def _best(points: list[SearchTrial], target: Target) -> SearchTrial:
    held = [point for point in points if point.excess <= 1e-9]
    if not held:
        nearest = min(points, key=lambda point: point.excess)
        said = nearest.reason or f"it lost {drop(nearest.result):.2f} points with {nearest.size:,.0f} left"
        kept = ", ".join(f"{path}={fraction:.3g}" for path, fraction in nearest.kept.items())
        raise RunFailed(
            f"none of {len(points)} compressions kept to the target; the nearest was {kept}: {said}",
            "target",
            "allow more, fine-tune longer (epochs=), or try more (target.trials=)",
        )
    if target.by_accuracy:
        return min(held, key=lambda point: point.size)
    return min(held, key=lambda point: drop(point.result))


def _facts(point: SearchTrial, target: Target) -> dict[str, Any]:
    facts: dict[str, Any] = {"kept": point.kept, "run": str(point.folder), "holds": point.excess <= 1e-9}
    if not point.result:
        return facts | {"reason": point.reason}
    after = point.result["compression"]["after"]
    return facts | {"drop": drop(point.result), "cost": after["cost"], "metrics": after["metrics"]}


def _drawn(point: SearchTrial) -> dict[str, Any]:
    name = ", ".join(f"{fraction:.3g}" for fraction in point.kept.values())
    return {"name": name, "after": point.result.get("compression", {}).get("after")}
