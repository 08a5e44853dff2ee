"""Compares the original and the compressed model: cost, accuracy and latency, measured in the same way."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from bmx.compression.method import LayerChange
from bmx.engine.evaluation import Evaluation, evaluate
from bmx.engine.fit import best_file
from bmx.engine.prepare import Prepared
from bmx.export import engines
from bmx.export.reading import Loaded, load
from bmx.measure.significance import only_right
from bmx.runs.report import compression as report
from bmx.verbs.bench.measuring import Ruler, measure
from bmx.verbs.bench.models import Subject
from bmx.verbs.recording.fit_run import part_of

BEFORE, AFTER = "before", "after"


@dataclass(frozen=True)
class Change:
    """The changes that a compression made to a model.

    Attributes:
        layers: the change of each layer.
        facts: what the method reports.
        epochs: of fine-tuning.
    """

    layers: Sequence[LayerChange] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    epochs: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {"layers": [asdict(layer) for layer in self.layers], "facts": self.facts, "epochs": self.epochs}


def weigh(
    prepared: Prepared,
    parent: Loaded,
    result: dict[str, Any],
    run_dir: Path,
    measured: Evaluation,
    change: Change,
    split: str = "test",
) -> dict[str, Any]:
    """Measures both models and returns the comparison for ``result.json``; draws it too.

    Args:
        prepared: the configuration.
        parent: the original model.
        result: the result of the run so far.
        run_dir: the run, with its final best.ckpt.
        measured: the metrics of the compressed model on ``split``.
        change: what the compression changed.
        split: test, or val for a trial that must not look at the test set.
    """
    cfg, data = prepared.cfg, prepared.data
    arrays = part_of(data, split)
    where = prepared.device.where
    predictor = copy.deepcopy(parent.predictor).to(where)
    original = evaluate(predictor, arrays, data.spec, prepared.device, more=prepared.measures)
    subjects, exact = [], prepared.device.precision == "32-true"
    for name, loaded, tested in ((BEFORE, parent, original), (AFTER, load(best_file(run_dir)), measured)):
        known, part = tested.metrics if exact else {}, replace(data, test=arrays)
        subjects.append(Subject(name, loaded, str(loaded.file), loaded.cost(), part, metrics=known))
    entries = {entry["name"]: entry for entry in measure(subjects, ruler_of(cfg, where))}
    sides = {}
    for subject, evaluation in zip(subjects, (original, measured), strict=True):
        entry = entries[subject.name]
        sides[subject.name] = {
            "metrics": evaluation.metrics,
            "cost": entry["cost"],
            "file_bytes": Path(str(subject.run)).stat().st_size,
            "engines": entry["engines"],
            "timings": entry["timings"],
            "failures": entry["failures"],
        }
    weighed: dict[str, Any] = {**sides, **change.to_dict(), "split": split, "samples": len(arrays)}
    if data.spec.task == "classification":
        weighed["agreement"] = float((original.predicted == measured.predicted).double().mean())
        right = only_right(original.predicted, measured.predicted, arrays.targets.cpu())
        weighed["only_right"] = dict(zip((BEFORE, AFTER), right, strict=True))
    found = {"cost": sides[AFTER]["cost"], "compression": weighed}
    if cfg.plots:
        from bmx.runs.report import sensitivity

        report.draw({**result, **found}, run_dir / "plots" / "compression.png")
        sensitivity.draw(change.facts.get("sensitivity", []), run_dir / "plots" / "sensitivity.png")
    return found


# Skipped where its package is missing, since it is a default; the other engines were requested by name.
_LEFT_OUT = "onnx"


def check_engines(cfg: DictConfig) -> None:
    """Checks that every engine of ``engines=`` is available.

    Raises:
        UsageError: one of them needs a package that is not installed.
    """
    engines.check([word for word in _engines(cfg) if word != _LEFT_OUT])


def _engines(cfg: DictConfig) -> list[str]:
    named = [str(word) for word in cfg.engines] if OmegaConf.is_list(cfg.engines) else [str(cfg.engines)]
    return list(dict.fromkeys(named))


def ruler_of(cfg: DictConfig, where: torch.device) -> Ruler:
    """Measurement settings from ``engines=``, ``batch_sizes=`` and ``seconds=``, without engines that are missing."""
    words = [word for word in _engines(cfg) if engines.available(word)]
    return Ruler(words, [int(n) for n in cfg.batch_sizes], float(cfg.seconds), where, check_memory=False)
