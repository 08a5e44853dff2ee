"""One fit in its own run directory: what train, distill and compress have in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import nn

from bmx.compression.method import Tuning
from bmx.compression.recipe import Step
from bmx.data.input_stage import InputStage
from bmx.engine import fit
from bmx.engine.answers import mistakes
from bmx.engine.device import use_threads
from bmx.engine.display import Silent, choose
from bmx.engine.evaluation import Evaluation, evaluate
from bmx.engine.finders import settle
from bmx.engine.fit import Fit
from bmx.engine.predictor import load_model
from bmx.engine.prepare import Prepared
from bmx.engine.signals import REQUEUED_BY, watch_signals
from bmx.errors import Interrupted
from bmx.measure.cost import Cost, cost_of
from bmx.runs import result as results
from bmx.runs import slurm
from bmx.runs.directory import create
from bmx.runs.locking import lock
from bmx.runs.report import plots, summary
from bmx.tasks.fit import FitTask
from bmx.verbs.choices import chosen_words


@dataclass(frozen=True)
class Start:
    """What a fit begins with.

    Attributes:
        net: the model, on the CPU.
        recipe: what compression did to the architecture that the configuration builds.
        tuning: what has to hold after each step.
        make_task: takes the arguments of :class:`FitTask`.
    """

    net: nn.Module
    recipe: Sequence[Step] = ()
    tuning: Tuning | None = None
    make_task: Callable[..., FitTask] = FitTask


@dataclass(frozen=True)
class Job:
    """How the run of a verb differs from plain training.

    Attributes:
        verb: names the run directory's folder.
        start: makes what the fit begins with; may write into the run directory.
        parent: the run or file that the model comes from.
        facts: more to keep in result.json from the start.
        finish: gives best.ckpt its final form before it is tested.
        conclude: adds to the result, and draws, once the model is tested: (result so far, run directory, its test).
        show: prints the end.
    """

    verb: str
    start: Callable[[Prepared, Path], Start]
    parent: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    finish: Callable[[Path], None] = lambda run_dir: None
    conclude: Callable[[dict[str, Any], Path, Evaluation], dict[str, Any]] = lambda result, run_dir, tested: {}
    show: Callable[[dict[str, Any], Path], None] = summary.show


def fit_and_test(
    prepared: Prepared,
    job: Job,
    run_dir: Path | None = None,
    quiet: bool = False,
    fits: bool = True,
) -> dict[str, Any]:
    """Fits a model, tests its best checkpoint, and returns the result, which is also in result.json.

    Args:
        prepared: the checked configuration.
        job: what the verb adds.
        run_dir: the run directory; made under ``cfg.outputs`` if None.
        quiet: print nothing.
        fits: whether there is training; without it what ``job.start`` gives is tested as it is.

    Raises:
        RunFailed: training could not go on; result.json says ``failed``.
    """
    cfg = prepared.cfg
    threads = use_threads(cfg.trainer.threads)
    name = str(cfg.name or "run")
    run_dir = run_dir or create(Path(cfg.outputs), job.verb, name)
    display = Silent() if quiet else choose()
    facts = {**_facts(prepared, threads), "parent": job.parent, **job.facts}
    with lock(run_dir), watch_signals() as stop:
        results.start(run_dir, job.verb, name, **facts)
        slurm.remember(Path(cfg.outputs), run_dir)
        began, fitting = time.perf_counter(), None
        try:
            start = job.start(prepared, run_dir)
            net = start.net
            prepared, found = settle(prepared, net)
            if found:
                cfg = prepared.cfg
                results.start(run_dir, job.verb, name, **facts, found=found)
            (run_dir / "config.yaml").write_text(OmegaConf.to_yaml(cfg, resolve=True))
            cost = cost_of(net, InputStage(prepared.data.spec)(prepared.example()))
            if cfg.compile:
                net.compile()
            if fits:
                parts = (start.make_task, start.recipe, start.tuning)
                fitting = fit.build(prepared, net, run_dir, display, stop, *parts)
                steps = prepared.timeline.steps_per_epoch
                display.start(_title(prepared, cost, run_dir, threads), int(cfg.epochs), steps)
                stop.deferred = True
                fitting.run()
                stop.deferred = False
            else:
                fit.save_unfitted(prepared, net, run_dir, start.recipe)
            fitted = time.perf_counter() - began
            display.stop()
            job.finish(run_dir)
            tested = test(prepared, run_dir)
            outcome = _outcome(prepared, fitting, cost, tested, fitted, began)
            outcome |= job.conclude(outcome, run_dir, tested)
            result = results.finish(run_dir, "done", **outcome)
        except (Interrupted, KeyboardInterrupt) as error:
            display.stop()
            reason = str(error) or "stopped by Ctrl-C"
            if stop.signal == REQUEUED_BY:
                reason += f"; {slurm.requeue()}"
            result = results.finish(run_dir, "interrupted", reason, **_so_far(fitting, began))
        except BaseException as error:
            display.stop()
            results.finish(run_dir, "failed", str(error) or type(error).__name__, **_so_far(fitting, began))
            raise
        if result["status"] == "done" and cfg.plots:
            wrong = mistakes(tested, prepared.data.test, prepared.data.spec)
            plots.draw(run_dir, result, wrong, prepared.data.spec.kind)
    if not quiet:
        job.show(result, run_dir)
    return result


def test(prepared: Prepared, run_dir: Path) -> Evaluation:
    """Measures the best checkpoint, as it is on disk, on the test set: the only time the test set is used."""
    model = load_model(fit.best_file(run_dir)).to(prepared.device.where)
    return evaluate(model, prepared.data.test, prepared.data.spec, prepared.device)


def _facts(prepared: Prepared, threads: int) -> dict[str, Any]:
    cfg, data = prepared.cfg, prepared.data
    words, overrides = chosen_words()
    return {
        "choices": words,
        "overrides": overrides,
        "seed": int(cfg.seed),
        "device": _device_name(prepared.device.where),
        "precision": prepared.device.precision,
        "threads": threads,
        "data": {
            "name": data.spec.name,
            "fingerprint": data.fingerprint,
            "train": len(data.train),
            "val": len(data.val) if data.val is not None else 0,
            "test": len(data.test),
        },
    }


def _device_name(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def _so_far(fitting: Fit | None, began: float) -> dict[str, Any]:
    """What a run that did not end has to tell."""
    if fitting is None:
        return {"seconds": {"total": time.perf_counter() - began}}
    row = fitting.task.epoch_row
    return {
        "metrics": {name: value for name, value in row.items() if "/" in name},
        "epochs": int(row.get("epoch", 0)),
        "steps": fitting.task.steps_done,
        **({"best": _best(fitting)} if fitting.selection.best_epoch else {}),
        "seconds": {"total": time.perf_counter() - began, "per_epoch": fitting.watch.epoch_seconds},
    }


def _best(fitting: Fit) -> dict[str, Any]:
    chosen = fitting.selection
    return {"epoch": chosen.best_epoch, "metric": chosen.metric, "value": chosen.best_value if chosen.metric else None}


def _outcome(
    prepared: Prepared, fitting: Fit | None, cost: Cost, tested: Evaluation, fitted: float, began: float
) -> dict[str, Any]:
    spec = prepared.data.spec
    outcome: dict[str, Any] = {"metrics": {}, "epochs": 0, "steps": 0} | _so_far(fitting, began)
    outcome["metrics"] |= {f"test/{name}": value for name, value in tested.metrics.items()}
    outcome["cost"] = cost.to_dict()
    outcome["seconds"] |= {"fit": fitted}
    labels = list(spec.labels) or [str(i) for i in range(spec.num_classes)]
    outcome["test"] = {"confusion": tested.confusion, "labels": labels}
    return outcome


def _title(prepared: Prepared, cost: Cost, run_dir: Path, threads: int) -> list[str]:
    cfg, data = prepared.cfg, prepared.data
    held_out = f"{len(data.val):,} validation, " if data.val is not None else ""
    device = f"{threads} threads" if prepared.device.where.type == "cpu" else _device_name(prepared.device.where)
    return [
        f"{cfg.name}: {cost.parameters:,} parameters, {len(data.train):,} training, {held_out}{len(data.test):,} test",
        f"{cfg.epochs} epochs of {prepared.timeline.steps_per_epoch:,} steps, batch {prepared.batch_size:,}, "
        f"lr {cfg.lr:g}, seed {cfg.seed}, {device}, {prepared.device.precision}",
        summary.short_path(run_dir),
    ]
