"""``lr=auto`` and ``batch_size=auto``: short trials on a copy of the model, before the run begins.

Lightning's Tuner needs automatic optimisation and a DataLoader; these do the same with bmx's own batches and leave the
random state as they found it.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass, replace

import torch
from omegaconf import DictConfig
from torch import nn

from bmx.data.batches import BatchOrder
from bmx.data.input_stage import InputStage
from bmx.data.loading import available_memory, reader_for
from bmx.engine import random_state
from bmx.engine.build import optimizer_maker
from bmx.engine.prepare import Prepared
from bmx.errors import RunFailed
from bmx.tasks.objectives import objective_for

SMALLEST_LR, LARGEST_LR, LR_STEPS = 1e-6, 10.0, 100
# A batch size is worth doubling while it makes at least this much more samples per second.
WORTH_DOUBLING = 1.05
# Fewer steps than this in an epoch make a poor run, however fast each is.
STEPS_PER_EPOCH = 20


@dataclass(frozen=True)
class RangeTest:
    """A learning-rate range test (Smith 2017).

    Attributes:
        lr: the suggestion, where the smoothed loss falls fastest.
        rates: the learning rate of each step.
        losses: the smoothed loss of each step.
    """

    lr: float
    rates: list[float]
    losses: list[float]


def find_lr(prepared: Prepared, net: nn.Module) -> RangeTest:
    """Trains a copy of ``net`` with a rate that grows each step, and suggests where the loss fell fastest.

    Raises:
        RunFailed: the loss never fell.
    """
    random = random_state.capture()
    trial = copy.deepcopy(net).to(prepared.device.where).train()
    stage = InputStage.fitted(prepared.data.spec, prepared.data.train).to(prepared.device.where)
    objective = objective_for(prepared.data.spec)
    optimizer = prepared.make_optimizer(trial.parameters())
    order = BatchOrder(len(prepared.data.train), prepared.batch_size, seed=int(prepared.cfg.seed))
    reader = reader_for(prepared.data.train, order, prepared.device.where, int(prepared.cfg.data.workers))
    rates: list[float] = []
    losses: list[float] = []
    average, growth, epoch = 0.0, (LARGEST_LR / SMALLEST_LR) ** (1 / LR_STEPS), 0
    try:
        while len(rates) < LR_STEPS:
            for inputs, targets in reader.epoch(epoch):
                rate = SMALLEST_LR * growth ** len(rates)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.zero_grad()
                with prepared.device.autocast():
                    loss = objective.loss(trial(stage(inputs)), targets)
                loss.backward()
                optimizer.step()
                average = 0.9 * average + 0.1 * loss.item()
                smooth = average / (1 - 0.9 ** (len(rates) + 1))
                rates.append(rate)
                losses.append(smooth)
                if len(rates) >= LR_STEPS or not math.isfinite(smooth) or smooth > 4 * min(losses):
                    return RangeTest(_steepest(rates, losses), rates, losses)
            epoch += 1
        return RangeTest(_steepest(rates, losses), rates, losses)
    finally:
        random_state.restore(random)


def settle(prepared: Prepared, net: nn.Module) -> tuple[Prepared, dict[str, float]]:
    """Finds what ``auto`` stands for; returns the settled configuration and what was found."""
    found: dict[str, float] = {}
    if "batch_size" in prepared.auto:
        found["batch_size"] = size = find_batch_size(prepared, net)
        steps = -(-len(prepared.data.train) // size)
        timeline = replace(prepared.timeline, steps_per_epoch=steps)
        prepared = replace(prepared, batch_size=size, timeline=timeline, cfg=_with(prepared.cfg, "batch_size", size))
    if "lr" in prepared.auto:
        found["lr"] = float(f"{find_lr(prepared, net).lr:.2g}")
        cfg = _with(prepared.cfg, "lr", found["lr"])
        prepared = replace(prepared, cfg=cfg, make_optimizer=optimizer_maker(cfg.optim))
    return prepared, found


def _with(cfg: DictConfig, key: str, value: float) -> DictConfig:
    changed = copy.deepcopy(cfg)
    changed[key] = value
    return changed


def _steepest(rates: list[float], losses: list[float]) -> float:
    """The rate at which the smoothed loss falls fastest per step, before its minimum."""
    finite = [loss for loss in losses if math.isfinite(loss)]
    lowest = finite.index(min(finite))
    slopes = [losses[i + 1] - losses[i - 1] for i in range(1, max(lowest, 1))]
    if not slopes or min(slopes) >= 0:
        raise RunFailed(
            "lr=auto found no rate at which the loss falls",
            "the learning-rate range test",
            "give a rate yourself, such as lr=0.01, and look at the data and the model",
        )
    return rates[1 + slopes.index(min(slopes))]


def find_batch_size(prepared: Prepared, net: nn.Module) -> int:
    """Doubles the batch while a step fits in memory and still makes more samples per second.

    Returns:
        A power of two, at most a twentieth of the training set.
    """
    random = random_state.capture()
    most = max(1, len(prepared.data.train) // STEPS_PER_EPOCH)
    best, best_rate, size = 1, 0.0, min(16, 1 << (most.bit_length() - 1))
    try:
        while size <= most:
            try:
                rate = _samples_per_second(prepared, net, size)
            except (torch.cuda.OutOfMemoryError, MemoryError):
                break
            if best_rate and rate < WORTH_DOUBLING * best_rate:
                break
            best, best_rate = size, rate
            size *= 2
        return best
    finally:
        random_state.restore(random)


def _samples_per_second(prepared: Prepared, net: nn.Module, size: int) -> float:
    trial = copy.deepcopy(net).to(prepared.device.where).train()
    stage = InputStage.fitted(prepared.data.spec, prepared.data.train.select(torch.arange(size)))
    stage.to(prepared.device.where)
    objective = objective_for(prepared.data.spec)
    inputs, targets = (t.to(prepared.device.where) for t in prepared.data.train.batch(torch.arange(size)))
    seconds = []
    before = available_memory()
    for _ in range(5):
        start = time.perf_counter()
        with prepared.device.autocast():
            loss = objective.loss(trial(stage(inputs)), targets)
        loss.backward()
        trial.zero_grad()
        loss.item()
        seconds.append(time.perf_counter() - start)
        if before - available_memory() > before // 2:
            raise MemoryError
    return size / min(seconds)
