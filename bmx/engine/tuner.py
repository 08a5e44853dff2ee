"""``lr=auto`` and ``batch_size=auto``: learning-rate range test and batch-size search on a copy of the model.

Lightning's Tuner needs automatic optimisation and a DataLoader; these do the same with bmx's own batches and preserve
the random state.
"""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from omegaconf import DictConfig
from torch import nn

from bmx.data.pipeline.loading import available_memory
from bmx.engine.build import optimizer_maker
from bmx.engine.fit_task import Trial, trial
from bmx.engine.prepare import Prepared
from bmx.engine.schedulers import make_schedule
from bmx.errors import RunFailed
from bmx.tasks.fit import FitTask

SMALLEST_LR, LARGEST_LR, LR_STEPS = 1e-6, 10.0, 100
# The first steps, whose rates are negligible, give the level and the noise of the loss. A fall by more than the noise
# and by this share counts as learning; a rise by as much as harm; at a multiple the test ends.
FIRST, FALLS, RISES, LOST = 20, 0.02, 0.5, 4
# A batch size is worth doubling while it makes at least this much more samples per second.
WORTH_DOUBLING = 1.05
# Fewer steps than this in an epoch make a poor run, however fast each is.
STEPS_PER_EPOCH = 20


@dataclass(frozen=True)
class RangeTest:
    """Result of a learning-rate range test (Smith 2017).

    Attributes:
        lr: the suggested learning rate.
        rates: the learning rate of each step.
        losses: the smoothed loss of each step.
    """

    lr: float
    rates: list[float]
    losses: list[float]


def find_lr(prepared: Prepared, net: nn.Module, make_task: Callable[..., FitTask] = FitTask) -> RangeTest:
    """Trains a copy of ``net`` with a learning rate that grows each step, and suggests one by the loss.

    Args:
        prepared: the checked configuration.
        net: the model.
        make_task: of the run; defines the loss.

    Raises:
        RunFailed: the loss neither fell nor rose.
    """
    rates: list[float] = []
    losses: list[float] = []
    average, growth = 0.0, (LARGEST_LR / SMALLEST_LR) ** (1 / LR_STEPS)
    with trial(prepared, net, make_task) as run:
        for inputs, targets in run.batches():
            rate = SMALLEST_LR * growth ** len(rates)
            for group in run.optimizer.param_groups:
                group["lr"] = rate
            average = 0.9 * average + 0.1 * run.step(inputs, targets).item()
            smooth = average / (1 - 0.9 ** (len(rates) + 1))
            rates.append(rate)
            losses.append(smooth)
            lost = len(rates) > FIRST and smooth > LOST * statistics.median(losses[:FIRST])
            if len(rates) >= LR_STEPS or not math.isfinite(smooth) or lost:
                break
    return RangeTest(suggested(rates, losses), rates, losses)


def settle(
    prepared: Prepared, net: nn.Module, make_task: Callable[..., FitTask] = FitTask
) -> tuple[Prepared, dict[str, float]]:
    """Searches the values of ``auto`` settings; returns the completed configuration and the values.

    Args:
        prepared: the checked configuration.
        net: the model.
        make_task: of the run; defines the loss and the cost of a step.
    """
    found: dict[str, float] = {}
    if "batch_size" in prepared.auto:
        found["batch_size"] = size = find_batch_size(prepared, net, make_task)
        prepared = replace(prepared, batch_size=size, cfg=_with(prepared.cfg, "batch_size", size))
        timeline = replace(prepared.timeline, steps_per_epoch=len(prepared.order()))
        prepared = replace(prepared, timeline=timeline)
    if "lr" in prepared.auto:
        found["lr"] = float(f"{find_lr(prepared, net, make_task).lr:.2g}")
        cfg = _with(prepared.cfg, "lr", found["lr"])
        maker, schedule = optimizer_maker(cfg.optim, cfg.lr), make_schedule(cfg.scheduler)
        prepared = replace(prepared, cfg=cfg, make_optimizer=maker, schedule=schedule)
    return prepared, found


def _with(cfg: DictConfig, key: str, value: float) -> DictConfig:
    changed = copy.deepcopy(cfg)
    changed[key] = value
    return changed


def suggested(rates: list[float], losses: list[float]) -> float:
    """A tenth of the rate at which the smoothed loss is lowest, right before it rises.

    The rate of steepest descent is as common a choice, but often at the brink of divergence: LeNet-5 with SGD learns
    nothing there, and the noise of the first steps can pass for a descent. The loss of a model to be fine-tuned may
    not fall any more: then it is a tenth of the last rate that did no harm.
    """
    finite = [loss for loss in losses if math.isfinite(loss)] or [0.0]
    first, later = finite[FIRST // 2 : FIRST] or finite, finite[FIRST:]  # smoothing takes some steps to begin
    before, noise = statistics.median(first), max(first) - min(first)
    if later and min(later) < before - max(noise, FALLS * abs(before)):
        return rates[FIRST + later.index(min(later))] / 10
    harmless = [step for step, loss in enumerate(finite) if loss <= before + RISES * abs(before)]
    if not harmless or harmless[-1] < FIRST or harmless[-1] == len(losses) - 1:
        raise RunFailed(
            "lr=auto found no rate that makes a difference",
            "the learning-rate range test",
            "give a rate yourself, such as lr=0.01, and look at the data and the model",
        )
    return rates[harmless[-1]] / 10


def find_batch_size(prepared: Prepared, net: nn.Module, make_task: Callable[..., FitTask] = FitTask) -> int:
    """Doubles the batch size while a step fits in memory and throughput (samples per second) still grows.

    Returns:
        A power of two, at most a twentieth of the training set; where ``trainer.accumulate`` or the model need more,
        that number, doubled as often as it pays.
    """
    needed = min(prepared.least * int(prepared.cfg.trainer.accumulate), len(prepared.data.train))
    most = max(1, needed, len(prepared.data.train) // STEPS_PER_EPOCH)
    size = max(needed, min(16, 1 << (most.bit_length() - 1)))
    best, best_rate = max(1, needed), 0.0
    with trial(prepared, net, make_task, most) as run:
        for group in run.optimizer.param_groups:
            group["lr"] = 0.0  # the step leaves the model unchanged
        while size <= most:
            try:
                rate = _samples_per_second(run, size)
            except (torch.cuda.OutOfMemoryError, MemoryError):
                break
            if best_rate and rate < WORTH_DOUBLING * best_rate:
                break
            best, best_rate = size, rate
            size *= 2
    return best


def _samples_per_second(run: Trial, size: int) -> float:
    inputs, targets = (t.to(run.device.where) for t in run.prepared.data.train.batch(torch.arange(size)))
    seconds = []
    before = available_memory()
    for _ in range(5):
        run.task.position.step = 0
        start = time.perf_counter()
        run.step(inputs, targets).item()
        seconds.append(time.perf_counter() - start)
        if before - available_memory() > before // 2:
            raise MemoryError
    return size / min(seconds)
