"""With the teacher's outputs kept, an epoch of distillation costs about as much as one of plain training.

Nothing is asserted, as in :mod:`tests.benchmarks.test_ratios`.
"""

from __future__ import annotations

import statistics
import time

import pytest
import torch

import bmx
from bmx.data.pipeline.batches import BatchOrder
from bmx.data.pipeline.loading import reader_for
from bmx.distillation.method import Outputs
from bmx.distillation.teacher_cache import TeacherOutputs
from bmx.distillation.teachers import Teachers
from bmx.engine.build import make_distillation
from bmx.engine.device import use_cpu
from bmx.engine.fit import build_net
from bmx.engine.fit_task import build_task
from bmx.engine.prepare import prepare
from bmx.tasks.distill import DistillTask, Lesson
from bmx.tasks.fit import FitTask
from bmx.tasks.optimizer_step import TrainStep

STEPS, ROUNDS = 100, 7


def _stepper(prepared, make_task):
    """A function that makes so many optimiser steps of a task, without Lightning around it."""
    order = BatchOrder(len(prepared.data.train), prepared.batch_size, seed=0)
    task = build_task(prepared, build_net(prepared), order, make_task)
    reader, position = reader_for(prepared.data.train, order, torch.device("cpu")), task.position
    stepper = TrainStep(task.configure_optimizers(), task.net, task.settings, None, False)

    def run():
        began = time.process_time()
        for inputs, targets in reader.epoch(0, 0):
            if position.step == STEPS:
                break
            stepper.step(task.batch_loss, inputs, targets)
            position.step += 1
            task.steps_done += 1
        position.step = 0
        return time.process_time() - began

    return run


@pytest.mark.benchmark
@pytest.mark.parametrize("model", ["lenet5", "cnn", "mlp"])
@pytest.mark.parametrize("word", ["kd", "kd_std", "dkd", "dist"])
def test_an_epoch_with_kept_outputs_costs_little_more(model, word, capsys):
    cfg = bmx.compose("distill", [f"model={model}", f"distillation={word}", "teacher=mlp"])
    prepared = prepare(cfg)
    use_cpu(1)  # what is counted is processor time, and a second thread that waits spends it too
    method = make_distillation(cfg.distillation)
    kept = TeacherOutputs(
        method.prepare(Outputs(torch.randn(len(prepared.data.train), 10)), prepared.data.train.targets)
    )

    def distilling(*arguments, **more):
        return DistillTask(*arguments, lesson=Lesson(method, Teachers([]), kept), **more)

    runs = {"plain": _stepper(prepared, FitTask), "distilled": _stepper(prepared, distilling)}
    for run in runs.values():
        run()  # warms up
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            seconds[name].append(run())
    ratio = statistics.median(seconds["distilled"]) / statistics.median(seconds["plain"])
    with capsys.disabled():
        each = {name: 1000 * statistics.median(values) / STEPS for name, values in seconds.items()}
        print(f"\n{model} {word}: {each['plain']:.3f} -> {each['distilled']:.3f} ms a step, {ratio:.3f} times")
