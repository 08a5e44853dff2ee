"""bmx train --plan: estimates the memory, time and disk of a run without making it."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from bmx.config.python_validation import conforming
from bmx.data.pipeline.input_stage import InputStage
from bmx.engine import fit
from bmx.engine.device import use_cpu
from bmx.engine.estimate import memory_needed, slower_than_full, time_needed
from bmx.engine.prepare import prepare
from bmx.engine.tuner import settle
from bmx.engine.warm_start import weights_for
from bmx.measure.cost import cost_of
from bmx.runs.report import plan as report
from bmx.targets.standing import with_its_trust


@conforming("train")
@with_its_trust
def plan(cfg: DictConfig, quiet: bool = False) -> dict[str, Any]:
    """Estimates the memory, time and disk of ``bmx train`` with this configuration; makes no run directory.

    Time is measured on a few steps, unless memory does not suffice for them. Values of ``auto`` are searched first, as
    in the run.

    Args:
        cfg: the composed configuration of ``bmx train``.
        quiet: print nothing.

    Raises:
        UsageError: the configuration cannot run.
    """
    prepared = prepare(cfg)
    threads = use_cpu(cfg.trainer.threads)
    net = fit.build_net(prepared)
    if cfg.init_from:
        net.load_state_dict(weights_for(net, str(cfg.init_from), Path(cfg.outputs)))
    prepared, found = settle(prepared, net)
    cost = cost_of(net, InputStage(prepared.data.spec)(prepared.example()))
    memory = memory_needed(prepared, net)
    seconds = asdict(time_needed(prepared, net)) if memory.fits else None
    # best.ckpt holds the weights, last.ckpt and previous.ckpt those and the optimiser's state.
    disk = {"needed": 3 * cost.bytes + 2 * memory.optimizer, "free": free_bytes(Path(cfg.outputs))}
    planned: dict[str, Any] = {
        "verb": "train",
        "status": "planned",
        "name": str(cfg.name or "run"),
        "data": {"name": prepared.data.spec.name, "train": len(prepared.data.train)},
        "device": str(prepared.device.where),
        "precision": prepared.device.precision,
        "threads": threads,
        "epochs": int(cfg.epochs),
        "steps": prepared.timeline.steps_per_epoch * int(cfg.epochs),
        "batch_size": prepared.batch_size,
        "found": found,
        "cost": cost.to_dict(),
        "memory": {**asdict(memory), "total": memory.total, "fits": memory.fits},
        "seconds": seconds,
        "disk": disk,
    }
    slower = slower_than_full(prepared, net) if memory.fits else None
    planned["warnings"] = [*prepared.data.notes, *_warnings(planned, int(cfg.trainer.accumulate))]
    if slower is not None:
        planned["warnings"].append(f"{prepared.device.precision} is {slower}")
    if not quiet:
        report.show(planned)
    return planned


def free_bytes(outputs: Path) -> int:
    """Free bytes on the disk of the outputs folder, which need not exist yet."""
    folder = outputs.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _warnings(planned: dict[str, Any], accumulate: int) -> list[str]:
    found = []
    if not planned["memory"]["fits"]:
        smaller = f"batch_size={max(1, planned['batch_size'] // 2)}"
        found.append(f"the memory will not be enough: try {smaller}, or trainer.accumulate={2 * accumulate}")
    if planned["disk"]["needed"] > planned["disk"]["free"]:
        found.append("the disk will not be enough: choose another folder with outputs=")
    return found
