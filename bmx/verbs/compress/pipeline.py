"""Compression pipelines: each stage is a run of its own that compresses the model of the stage before."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from bmx.compression import earlier_stages
from bmx.engine.build import make_method, sources_kept
from bmx.engine.fit import best_file
from bmx.engine.prepare import Prepared
from bmx.errors import UsageError, did_you_mean
from bmx.export.reading import Loaded, load_plain
from bmx.metrics.standard import main_of
from bmx.runs import confusion as confusions
from bmx.runs.report import numbers
from bmx.runs.report import pipeline as report
from bmx.verbs.compress.comparison import Change, weigh
from bmx.verbs.compress.parent import EPOCHS, Parent, find_parent, prepare_compression, split_of
from bmx.verbs.compress.target import NO_TARGET
from bmx.verbs.recording.fit_run import measure_best
from bmx.verbs.recording.nested_run import compound_run, inner_run

PIPELINE = "pipeline"
FOLDER = "stages"

# Compresses a model according to a configuration, into a directory: the verb itself.
Compress = Callable[[DictConfig, Path], dict[str, Any]]


def is_pipeline(cfg: DictConfig) -> bool:
    """Whether a configuration names several stages."""
    return bool(OmegaConf.select(cfg, "compression._target_") == PIPELINE)


def words(cfg: DictConfig) -> list[str]:
    """The compression options of the stages.

    Raises:
        UsageError: no stage, or an option that cannot be a stage.
    """
    stages = [str(word) for word in cfg.compression.stages or []]
    known = [str(key) for key in cfg.compression if OmegaConf.is_dict(cfg.compression[key])]
    if not stages:
        raise UsageError("a pipeline without stages", "stages=[]", "for example stages=[prune_structured,low_rank]")
    for word in stages:
        if word not in known:
            raise UsageError(f"no stage '{word}'", f"stages=[{','.join(stages)}]", did_you_mean(word, known))
    return stages


def stage(cfg: DictConfig, number: int, run: str) -> DictConfig:
    """The configuration of one stage.

    Args:
        cfg: of the pipeline.
        number: of the stage, from 0.
        run: what it compresses.
    """
    word = words(cfg)[number]
    alone = copy.deepcopy(cfg)
    with open_dict(alone):
        alone.compression = cfg.compression[word]
        alone.run = run
        alone.name = word
        alone.resume = None
        alone.target = dict(NO_TARGET)
        # Accuracy that one stage loses, the next can distil only from a model that still had it.
        alone.teacher = cfg.teacher or str(find_parent(cfg))
    return alone


def check(cfg: DictConfig) -> Parent:
    """Checks the pipeline and each stage, as far as the first model allows; returns the parent of the first stage.

    Raises:
        UsageError: for the first invalid setting.
    """
    _check_order(cfg, words(cfg))
    with sources_kept():
        model = load_plain(find_parent(cfg))
        begun = [prepare_compression(stage(cfg, number, str(cfg.run)), model) for number in range(len(words(cfg)))]
    first = begun[0].prepared.cfg
    with open_dict(first):  # with what it takes from its parent model, but of all stages
        for key in ("name", "compression", "target", "teacher"):
            first[key] = cfg.get(key)
    return begun[0]


def _check_order(cfg: DictConfig, stages: list[str]) -> None:
    """Rejects orders of stages that would fail, or silently be undone, once earlier stages have run."""
    methods = [make_method(cfg.compression[word]) for word in stages]
    epochs = [EPOCHS if cfg.epochs is None else cfg.epochs for _ in stages]
    earlier_stages.check_order(list(zip(stages, methods, epochs, strict=True)))
    reasons = [getattr(method, "must_be_last", "") for method in methods[:-1]]
    early = next(((word, why) for word, why in zip(stages, reasons, strict=False) if why), None)
    if early is not None:
        ordered = sorted(zip(stages, methods, strict=True), key=lambda stage: int(getattr(stage[1], "place", 0)))
        fix = f"stages=[{','.join(word for word, _ in ordered)}]"
        raise UsageError(f"{early[0]} {early[1]}", f"stages=[{','.join(stages)}]", fix)


def run_stages(
    cfg: DictConfig, folder: Path, run: Path, compress: Compress, quiet: bool = True
) -> list[dict[str, Any]]:
    """Runs each stage in ``folder``, skipping those that are done; returns their results.

    Raises:
        Interrupted: a stage was stopped.
    """
    found: list[dict[str, Any]] = []
    stages = words(cfg)
    for number, word in enumerate(stages):
        where = folder / f"{number + 1}-{word}"

        def make(begun: bool, number: int = number, run: Path = run, where: Path = where) -> dict[str, Any]:
            alone = stage(cfg, number, str(run))
            if begun:
                alone.resume = str(where)
            return compress(alone, where)

        before = inner_run(where, make)
        found.append({"word": word, "run": str(where), "result": before})
        run = best_file(where)
        if not quiet:
            print(f"[{number + 1}/{len(stages)}]  {word}: {_said(before)}", flush=True)
    return found


def _said(result: dict[str, Any]) -> str:
    after = result["compression"]["after"]
    metric = main_of(after["metrics"])
    assert metric is not None, "every stage measures the score of its task"
    score = after["metrics"][metric.name]
    said = f"{numbers.percent(score)} {metric.said}" if metric.percent else f"{metric.name} {score:.4g}"
    took = numbers.seconds(result["seconds"]["total"])
    return f"{said}, {numbers.size(after['cost']['bytes'])} of weights, after {took}"


def pipeline(cfg: DictConfig, begun: Parent, run_dir: Path | None, quiet: bool, compress: Compress) -> dict[str, Any]:
    """Runs all stages and compares the last model with the first.

    Args:
        cfg: of ``bmx compress compression=pipeline``.
        begun: what ``check`` returned.
        run_dir: the run directory; made under ``cfg.outputs`` if None.
        quiet: print nothing.
        compress: runs one stage.
    """
    prepared, parent = begun.prepared, begun.model

    def make(run_dir: Path) -> dict[str, Any]:
        stages = run_stages(cfg, run_dir / FOLDER, parent.file, compress, quiet)
        epochs = sum(int(s["result"].get("epochs") or 0) for s in stages)
        model = best_file(Path(stages[-1]["run"]))
        weighed = take_over(prepared, parent, model, run_dir, Change(epochs=epochs))
        return {"stages": [_stage_facts(s) for s in stages], **weighed}

    result, run_dir = compound_run(prepared, "compress", parent, run_dir, make, quiet)
    if not quiet:
        report.show(result, run_dir)
    return result


def take_over(prepared: Prepared, parent: Loaded, model: Path, run_dir: Path, change: Change) -> dict[str, Any]:
    """Copies a finished model file into ``run_dir`` and compares it with the parent, for ``result.json``.

    It is evaluated on the validation set too, so that a sweep can select by it.
    """
    best_file(run_dir).parent.mkdir(exist_ok=True)
    shutil.copyfile(model, best_file(run_dir))
    split = split_of(prepared.cfg)
    measured = measure_best(prepared, run_dir, split)
    found = {split: measured.metrics}
    if split == "test" and prepared.data.val is not None:
        found["val"] = measure_best(prepared, run_dir, "val").metrics
    outcome: dict[str, Any] = {
        "name": str(prepared.cfg.name),
        "metrics": {f"{part}/{name}": value for part, metrics in found.items() for name, value in metrics.items()},
        "test": confusions.keep(run_dir, measured.confusion, list(prepared.data.spec.labels)),
    }
    return outcome | weigh(prepared, parent, outcome, run_dir, measured, change, split)


def _stage_facts(made: dict[str, Any]) -> dict[str, Any]:
    after = made["result"]["compression"]["after"]
    return {
        "word": made["word"],
        "run": made["run"],
        "cost": after["cost"],
        "timings": after["timings"],
        "metrics": after["metrics"],
        "epochs": made["result"].get("epochs"),
    }
