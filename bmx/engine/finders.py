"""``lr=auto`` and ``batch_size=auto``: short trials on a copy of the model, before the run begins.

Lightning's Tuner needs automatic optimisation and a DataLoader; these do the same with bmx's own batches and leave the
random state as they found it.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from omegaconf import DictConfig
from torch import nn

from bmx.data.batches import BatchOrder
from bmx.data.loading import available_memory, reader_for
from bmx.engine import random_state
from bmx.engine.build import optimizer_maker
from bmx.engine.fit_task import build_task
from bmx.engine.prepare import Prepared
from bmx.errors import RunFailed
from bmx.tasks.fit import FitTask

SMALLEST_LR, LARGEST_LR, LR_STEPS = 1e-6, 10.0, 100
# A loss that falls by less than this is not one that learns.
WORTH_FALLING = 0.98
# A batch size is worth doubling while it makes at least this much more samples per second.
WORTH_DOUBLING = 1.05
# Fewer steps than this in an epoch make a poor run, however fast each is.
STEPS_PER_EPOCH = 20


@dataclass(frozen=True)
class RangeTest:
    """A learning-rate range test (Smith 2017).

    Attributes:
        lr: the suggestion, a tenth of the rate at which the smoothed loss is lowest.
        rates: the learning rate of each step.
        losses: the smoothed loss of each step.
    """

    lr: float
    rates: list[float]
    losses: list[float]


@contextmanager
def _trial(prepared: Prepared, net: nn.Module, make_task: Callable[..., FitTask], batch_size: int) -> Iterator[FitTask]:
    """The task of the run on a copy of its model; random state and what is trained beside the net stay as they were."""
    random = random_state.capture()
    order = BatchOrder(len(prepared.data.train), batch_size, seed=int(prepared.cfg.seed))
    task = build_task(prepared, copy.deepcopy(net), order, make_task).to(prepared.device.where).train()
    beside = copy.deepcopy(task.beside.state_dict()) if task.beside is not None else {}
    try:
        task.on_fit_start()
        yield task
    finally:
        if task.beside is not None:
            task.beside.load_state_dict(beside)
        random_state.restore(random)


def find_lr(prepared: Prepared, net: nn.Module, make_task: Callable[..., FitTask] = FitTask) -> RangeTest:
    """Trains a copy of ``net`` with a rate that grows each step, and suggests a tenth of where the loss was lowest.

    Args:
        prepared: the checked configuration.
        net: the model.
        make_task: of the run, whose loss it is.

    Raises:
        RunFailed: the loss never fell.
    """
    rates: list[float] = []
    losses: list[float] = []
    average, growth = 0.0, (LARGEST_LR / SMALLEST_LR) ** (1 / LR_STEPS)
    with _trial(prepared, net, make_task, prepared.batch_size) as task:
        optimizer = prepared.make_optimizer(task.trained_parameters())
        assert task.order is not None
        workers = int(prepared.cfg.data.workers)
        reader = reader_for(prepared.data.train, task.order, prepared.device.where, workers)
        while len(rates) < LR_STEPS:
            for inputs, targets in reader.epoch(task.position.epoch):
                rate = SMALLEST_LR * growth ** len(rates)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.zero_grad()
                with prepared.device.autocast():
                    loss, _ = task.batch_loss(inputs, targets)
                loss.backward()
                optimizer.step()
                task.position.step += 1
                task.steps_done += 1
                average = 0.9 * average + 0.1 * loss.item()
                smooth = average / (1 - 0.9 ** (len(rates) + 1))
                rates.append(rate)
                losses.append(smooth)
                if len(rates) >= LR_STEPS or not math.isfinite(smooth) or smooth > 4 * min(losses):
                    return RangeTest(_suggestion(rates, losses), rates, losses)
            task.position.epoch, task.position.step = task.position.epoch + 1, 0
    return RangeTest(_suggestion(rates, losses), rates, losses)


def settle(
    prepared: Prepared, net: nn.Module, make_task: Callable[..., FitTask] = FitTask
) -> tuple[Prepared, dict[str, float]]:
    """Finds what ``auto`` stands for; returns the settled configuration and what was found.

    Args:
        prepared: the checked configuration.
        net: the model.
        make_task: of the run: what a step costs, and what its loss is.
    """
    found: dict[str, float] = {}
    if "batch_size" in prepared.auto:
        found["batch_size"] = size = find_batch_size(prepared, net, make_task)
        steps = -(-len(prepared.data.train) // size)
        timeline = replace(prepared.timeline, steps_per_epoch=steps)
        prepared = replace(prepared, batch_size=size, timeline=timeline, cfg=_with(prepared.cfg, "batch_size", size))
    if "lr" in prepared.auto:
        found["lr"] = float(f"{find_lr(prepared, net, make_task).lr:.2g}")
        cfg = _with(prepared.cfg, "lr", found["lr"])
        prepared = replace(prepared, cfg=cfg, make_optimizer=optimizer_maker(cfg.optim))
    return prepared, found


def _with(cfg: DictConfig, key: str, value: float) -> DictConfig:
    changed = copy.deepcopy(cfg)
    changed[key] = value
    return changed


def _suggestion(rates: list[float], losses: list[float]) -> float:
    """A tenth of the rate at which the smoothed loss is lowest, right before it rises.

    Where it falls fastest is as usual a choice, but often at the brink: LeNet-5 with SGD learns nothing there, and the
    noise of the first steps can pass for a fall.
    """
    finite = [loss for loss in losses if math.isfinite(loss)]
    lowest = finite.index(min(finite)) if finite else 0
    if not lowest or finite[lowest] > WORTH_FALLING * finite[0]:
        raise RunFailed(
            "lr=auto found no rate at which the loss falls",
            "the learning-rate range test",
            "give a rate yourself, such as lr=0.01, and look at the data and the model",
        )
    return rates[lowest] / 10


def find_batch_size(prepared: Prepared, net: nn.Module, make_task: Callable[..., FitTask] = FitTask) -> int:
    """Doubles the batch while a step fits in memory and still makes more samples per second.

    Returns:
        A power of two, at most a twentieth of the training set.
    """
    most = max(1, len(prepared.data.train) // STEPS_PER_EPOCH)
    best, best_rate, size = 1, 0.0, min(16, 1 << (most.bit_length() - 1))
    while size <= most:
        try:
            with _trial(prepared, net, make_task, size) as task:
                rate = _samples_per_second(prepared, task, size)
        except (torch.cuda.OutOfMemoryError, MemoryError):
            break
        if best_rate and rate < WORTH_DOUBLING * best_rate:
            break
        best, best_rate = size, rate
        size *= 2
    return best


def _samples_per_second(prepared: Prepared, task: FitTask, size: int) -> float:
    inputs, targets = (t.to(prepared.device.where) for t in prepared.data.train.batch(torch.arange(size)))
    seconds = []
    before = available_memory()
    for _ in range(5):
        start = time.perf_counter()
        with prepared.device.autocast():
            loss, _ = task.batch_loss(inputs, targets)
        loss.backward()
        task.zero_grad()
        loss.item()
        seconds.append(time.perf_counter() - start)
        task.steps_done += 1
        if before - available_memory() > before // 2:
            raise MemoryError
    return size / min(seconds)
