"""What there is to say of a fit: before it starts, while it runs, and once it is tested."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from bmx.data.spec import DataSpec
from bmx.engine.build import trial_of
from bmx.engine.device import device_name
from bmx.engine.evaluation import Evaluation
from bmx.engine.fit import Fit
from bmx.engine.prepare import Prepared
from bmx.files.shown import shown
from bmx.measure.cost import Cost
from bmx.metrics.standard import notes
from bmx.runs.report import numbers
from bmx.verbs.recording.chosen_words import chosen_facts


def run_facts(prepared: Prepared, threads: int) -> dict[str, Any]:
    """What is known of a run before it starts, for ``result.json``."""
    cfg, data = prepared.cfg, prepared.data
    return {
        **chosen_facts(),
        "seed": int(cfg.seed),
        "device": device_name(prepared.device.where),
        "precision": prepared.device.precision,
        "threads": threads,
        **({"ranks": _ranks(prepared)} if prepared.device.ranks.count > 1 else {}),
        "data": {
            "name": data.spec.name,
            "fingerprint": data.fingerprint,
            "train": len(data.train),
            "val": len(data.val) if data.val is not None else 0,
            "test": len(data.test),
        },
        **({"measures": notes(prepared.measures)} if prepared.measures else {}),
        **({"code": code} if (code := prepared.origin.get("code")) else {}),
    }


def _ranks(prepared: Prepared) -> dict[str, Any]:
    where, count = prepared.device.where, prepared.device.ranks.count
    devices = [device_name(where if where.type == "cpu" else torch.device(where.type, rank)) for rank in range(count)]
    return {"strategy": "ddp", "world_size": count, "devices": devices}


def class_labels(spec: DataSpec) -> list[str]:
    """The names of the classes, their numbers where they have none."""
    return list(spec.labels) or [str(i) for i in range(spec.num_classes)]


def title(prepared: Prepared, cost: Cost, run_dir: Path, threads: int) -> list[str]:
    """The lines above the table of epochs: model and data, what is trained how, and where."""
    cfg, data = prepared.cfg, prepared.data
    held_out = f"{len(data.val):,} validation, " if data.val is not None else ""
    where, steps = prepared.device.where, prepared.timeline.steps_per_epoch
    device = numbers.counted(threads, "thread") if where.type == "cpu" else device_name(where)
    if (ranks := prepared.device.ranks.count) > 1:
        device = f"{ranks} ranks of {device}" if where.type == "cpu" else f"{ranks} ranks, the first on {device}"
    return [
        f"{cfg.name}: {cost.parameters:,} parameters, {len(data.train):,} training, {held_out}{len(data.test):,} test",
        f"{numbers.counted(cfg.epochs, 'epoch')} of {numbers.counted(steps, 'step')}, batch {prepared.batch_size:,}, "
        f"lr {rates_shown(prepared)}, seed {cfg.seed}, {device}, {prepared.device.precision}",
        shown(run_dir),
    ]


def rates_shown(prepared: Prepared) -> str:
    """The step size that the optimiser has; groups of its own making may have several."""
    groups = trial_of(prepared.make_optimizer).param_groups
    return " and ".join(dict.fromkeys(f"{float(group['lr']):g}" for group in groups))


def so_far(fitting: Fit | None, began: float) -> dict[str, Any]:
    """What a run that did not end has to tell."""
    if fitting is None:
        return {"seconds": {"total": seconds_so_far(fitting, began)}}
    row = fitting.task.epoch_row
    return {
        "metrics": {name: value for name, value in row.items() if "/" in name},
        "epochs": int(row.get("epoch", 0)),
        "steps": fitting.task.steps_done,
        **({"best": _best(fitting)} if fitting.selection.best_epoch else {}),
        "seconds": {"total": seconds_so_far(fitting, began), "per_epoch": fitting.watch.epoch_seconds},
    }


def _best(fitting: Fit) -> dict[str, Any]:
    chosen = fitting.selection
    return {"epoch": chosen.best_epoch, "metric": chosen.metric, "value": chosen.best_value if chosen.metric else None}


def ended_early(fitting: Fit, epochs: int) -> dict[str, Any]:
    """What there is to say of a training that ended before its last epoch; empty if it did not."""
    reason = fitting.stopped
    done = int(fitting.task.epoch_row.get("epoch", 0))
    return {"ended_early": {"after": done, "of": epochs, "reason": reason}} if reason else {}


def outcome_of(
    fitting: Fit | None,
    cost: Cost,
    measured: tuple[str, Evaluation],
    fitted: float,
    began: float,
) -> dict[str, Any]:
    """The outcome of a run whose model has been measured, for ``result.json``.

    Args:
        fitting: the fit; None where nothing was trained.
        cost: of the model.
        measured: which set it was measured on, and what was found.
        fitted: seconds until the end of training.
        began: ``time.perf_counter()`` at the start, where nothing was trained.
    """
    split, tested = measured
    outcome: dict[str, Any] = {"metrics": {}, "epochs": 0, "steps": 0} | so_far(fitting, began)
    outcome["metrics"] |= {f"{split}/{name}": value for name, value in tested.metrics.items()}
    outcome["cost"] = cost.to_dict()
    if fitting is not None:
        outcome |= ended_early(fitting, int(fitting.task.timeline.epochs))
    outcome["seconds"] |= {"fit": fitted}
    return outcome


def revalidate(outcome: dict[str, Any], found: Evaluation) -> None:
    """Puts what the final model has on the validation set in the place of what it had before it was finished."""
    outcome["metrics"] |= {f"val/{name}": value for name, value in found.metrics.items()}
    best = outcome.get("best")
    if best is not None and best["metric"] in outcome["metrics"]:
        best["value"] = outcome["metrics"][best["metric"]]


def seconds_so_far(fitting: Fit | None, began: float) -> float:
    """What the run has taken so far, in all its processes."""
    return fitting.watch.seconds if fitting is not None else time.perf_counter() - began
