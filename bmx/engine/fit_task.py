"""The task of a run: what a configuration says about a training step."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from bmx.compression.method import Tuning
from bmx.data.pipeline.batches import BatchOrder, Position
from bmx.data.pipeline.input_stage import InputStage
from bmx.engine.build import make_augmentation
from bmx.engine.prepare import Prepared
from bmx.tasks.fit import FitTask
from bmx.tasks.losses import objective_for
from bmx.tasks.optimizer_step import FitSettings


def build_task(
    prepared: Prepared,
    net: nn.Module,
    order: BatchOrder,
    make_task: Callable[..., FitTask] = FitTask,
    tuning: Tuning | None = None,
) -> FitTask:
    """The task that fits ``net``, at the beginning of its first epoch.

    Args:
        prepared: the checked configuration.
        net: the model to fit.
        order: which samples make each batch.
        make_task: takes the arguments of :class:`FitTask`.
        tuning: what has to hold after each step.
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
