"""Builds the training task of a run from its configuration, for the run and for trial steps before it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from torch import Tensor, nn

from bmx.compression.method import Tuning
from bmx.data.pipeline.batches import BatchOrder, Position
from bmx.data.pipeline.input_stage import InputStage
from bmx.data.pipeline.loading import Batch, reader_for
from bmx.engine import random_state
from bmx.engine.build import make_augmentation
from bmx.engine.prepare import Prepared
from bmx.tasks.fit import FitTask
from bmx.tasks.losses import objective_for
from bmx.tasks.optimizer_step import FitSettings, TrainStep


def build_task(
    prepared: Prepared,
    net: nn.Module,
    order: BatchOrder,
    make_task: Callable[..., FitTask] = FitTask,
    tuning: Tuning | None = None,
) -> FitTask:
    """Builds the task that fits ``net``, at the beginning of its first epoch.

    Args:
        prepared: the checked configuration.
        net: the model to fit.
        order: which samples make each batch.
        make_task: task class; takes the arguments of :class:`FitTask`.
        tuning: constraints to enforce after each step, such as pruned weights.
    """
    cfg, data = prepared.cfg, prepared.data
    settings = FitSettings(
        log_every=cfg.trainer.log_every,
        accumulate=cfg.trainer.accumulate,
        clip_norm=cfg.trainer.clip_norm,
        l1=cfg.regularization.l1,
        l2=cfg.regularization.l2,
        least=prepared.least,
    )
    return make_task(
        net,
        InputStage.fitted(data.spec, data.train),
        objective_for(data.spec),
        prepared.make_optimizer,
        prepared.schedule,
        prepared.timeline,
        Position(),
        settings,
        tuning=tuning,
        augment=make_augmentation(cfg.get("augmentation"), data.spec),
        order=order,
        output_stage=prepared.units(),
    )


@contextmanager
def trial(
    prepared: Prepared, net: nn.Module, make_task: Callable[..., FitTask] = FitTask, batch_size: int | None = None
) -> Iterator[Trial]:
    """Context manager for trial steps of a run on a copy of its model, without Trainer, metrics and checkpoints.

    The random state and modules trained alongside the net are restored at exit.

    Args:
        prepared: the checked configuration.
        net: the model.
        make_task: of the run.
        batch_size: replaces the run's.
    """
    random = random_state.capture()
    if batch_size is not None:
        prepared = replace(prepared, batch_size=batch_size)
    device = prepared.device
    task = build_task(prepared, copy.deepcopy(net), prepared.order(), make_task).to(device.where, device.dtype).train()
    beside = copy.deepcopy(task.beside.state_dict()) if task.beside is not None else {}
    try:
        task.on_fit_start()
        yield Trial(prepared, task)
    finally:
        if task.beside is not None:
            task.beside.load_state_dict(beside)
        random_state.restore(random)


class Trial:
    """Makes the optimiser steps of a task.

    Attributes:
        task: the task of the run.
        optimizer: the optimiser of the run.
    """

    def __init__(self, prepared: Prepared, task: FitTask) -> None:
        self.prepared, self.task, self.device = prepared, task, prepared.device
        self.optimizer = prepared.make_optimizer(task.trained_parameters())
        scaler, autocast = self.device.scaler(), self.device.precision.endswith("mixed")
        self.train_step = TrainStep(self.optimizer, task.net, task.settings, scaler, autocast)

    def batches(self) -> Iterator[Batch]:
        """The batches of the run, epoch after epoch, without end."""
        data, task = self.prepared.data.train, self.task
        assert task.order is not None
        reader = reader_for(data, task.order, self.device.where, int(self.prepared.cfg.data.workers))
        while True:
            yield from reader.epoch(task.position.epoch)
            task.position.epoch, task.position.step = task.position.epoch + 1, 0

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Makes one step and returns the detached mean loss before it."""
        with self.device.autocast():
            loss, _ = self.train_step.step(self.task.batch_loss, inputs, targets)
        self.task.position.step += 1
        self.task.steps_done += 1
        return loss
