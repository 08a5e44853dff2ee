"""bmx train: fit a model, test the best checkpoint, write down everything."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from bmx.data.input_stage import InputStage
from bmx.engine import fit
from bmx.engine.answers import mistakes
from bmx.engine.device import use_threads
from bmx.engine.display import Silent, choose
from bmx.engine.evaluation import Evaluation, evaluate
from bmx.engine.finders import settle
from bmx.engine.fit import Fit
from bmx.engine.predictor import load_model
from bmx.engine.prepare import Prepared, prepare
from bmx.engine.signals import REQUEUED_BY, watch_signals
from bmx.engine.warm_start import weights_for
from bmx.errors import Interrupted
from bmx.measure.cost import Cost, cost_of
from bmx.runs import result as results
from bmx.runs import slurm
from bmx.runs.directory import create
from bmx.runs.locking import lock
from bmx.runs.report import plots, summary
from bmx.tasks.objectives import objective_for
from bmx.verbs.choices import chosen_words

# What check() loaded, for the train() that follows it in the same process.
_checked: dict[str, Prepared] = {}


def check(cfg: DictConfig) -> None:
    """Finds out whether a configuration can run, without writing anything.

    Raises:
        UsageError: it cannot; says what, where and what to do.
    """
    _checked.clear()
    _checked[_key(cfg)] = prepare(cfg)


def chooses_by(cfg: DictConfig) -> str | None:
    """The validation metric that a sweep over this configuration chooses by; None if nothing is held out."""
    prepared = _checked.get(_key(cfg)) or prepare(cfg)
    return None if prepared.data.val is None else f"val/{objective_for(prepared.data.spec).score_name}"


def train(cfg: DictConfig, run_dir: Path | None = None, quiet: bool = False) -> dict[str, Any]:
    """Fits the model of ``cfg``, tests its best checkpoint and returns the result, which is also in result.json.

    With ``cfg.plan`` nothing is run or written: what is returned is what it would take.

    Args:
        cfg: the composed configuration of ``bmx train``; see :func:`bmx.compose`.
        run_dir: the run directory; made under ``cfg.outputs`` if None.
        quiet: print nothing.

    Raises:
        UsageError: the configuration cannot run.
        RunFailed: training could not go on; result.json says ``failed``.
    """
    if cfg.get("plan"):
        from bmx.verbs.plan import plan

        return plan(cfg, quiet)
    prepared = _checked.pop(_key(cfg), None) or prepare(cfg)
    threads = use_threads(cfg.trainer.threads)
    name = str(cfg.name or "run")
    run_dir = run_dir or create(Path(cfg.outputs), "train", name)
    display = Silent() if quiet else choose()
    facts = _facts(prepared, threads)
    with lock(run_dir), watch_signals() as stop:
        results.start(run_dir, "train", name, **facts)
        slurm.remember(Path(cfg.outputs), run_dir)
        began, job = time.perf_counter(), None
        try:
            net = fit.build_net(prepared)
            if cfg.init_from:
                net.load_state_dict(weights_for(net, str(cfg.init_from), Path(cfg.outputs)))
            prepared, found = settle(prepared, net)
            if found:
                cfg = prepared.cfg
                results.start(run_dir, "train", name, **facts, found=found)
            (run_dir / "config.yaml").write_text(OmegaConf.to_yaml(cfg, resolve=True))
            cost = cost_of(net, InputStage(prepared.data.spec)(prepared.example()))
            if cfg.compile:
                net.compile()
            job = fit.build(prepared, net, run_dir, display, stop)
            display.start(_title(prepared, cost, run_dir, threads), int(cfg.epochs), prepared.timeline.steps_per_epoch)
            stop.deferred = True
            job.run()
            stop.deferred = False
            fitted = time.perf_counter() - began
            display.stop()
            tested = _test(prepared, run_dir)
            result = results.finish(run_dir, "done", **_outcome(job, cost, tested, fitted, began))
        except (Interrupted, KeyboardInterrupt) as error:
            display.stop()
            reason = str(error) or "stopped by Ctrl-C"
            if stop.signal == REQUEUED_BY:
                reason += f"; {slurm.requeue()}"
            result = results.finish(run_dir, "interrupted", reason, **_so_far(job, began))
        except BaseException as error:
            display.stop()
            results.finish(run_dir, "failed", str(error) or type(error).__name__, **_so_far(job, began))
            raise
        if result["status"] == "done" and cfg.plots:
            wrong = mistakes(tested, prepared.data.test, prepared.data.spec)
            plots.draw(run_dir, result, wrong, prepared.data.spec.kind)
    if not quiet:
        summary.show(result, run_dir)
    return result


def _key(cfg: DictConfig) -> str:
    return OmegaConf.to_yaml(cfg, resolve=True)


def _test(prepared: Prepared, run_dir: Path) -> Evaluation:
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
        "parent": None,
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


def _so_far(job: Fit | None, began: float) -> dict[str, Any]:
    """What a run that did not end has to tell."""
    if job is None:
        return {"seconds": {"total": time.perf_counter() - began}}
    row = job.task.epoch_row
    return {
        "metrics": {name: value for name, value in row.items() if "/" in name},
        "epochs": int(row.get("epoch", 0)),
        "steps": job.task.steps_done,
        **({"best": _best(job)} if job.selection.best_epoch else {}),
        "seconds": {"total": time.perf_counter() - began, "per_epoch": job.watch.epoch_seconds},
    }


def _best(job: Fit) -> dict[str, Any]:
    chosen = job.selection
    return {"epoch": chosen.best_epoch, "metric": chosen.metric, "value": chosen.best_value if chosen.metric else None}


def _outcome(job: Fit, cost: Cost, tested: Evaluation, fitted: float, began: float) -> dict[str, Any]:
    outcome = _so_far(job, began)
    outcome["metrics"] |= {f"test/{name}": value for name, value in tested.metrics.items()}
    outcome["cost"] = cost.to_dict()
    outcome["seconds"] |= {"fit": fitted}
    labels = list(job.spec.labels) or [str(i) for i in range(job.spec.num_classes)]
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
