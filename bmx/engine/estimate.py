"""Estimates memory and time of a training run: memory from shapes, time from a few steps on a copy of the model."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from bmx.data.pipeline.batches import part_sizes
from bmx.data.pipeline.input_stage import InputStage
from bmx.data.pipeline.loading import Batch, available_memory
from bmx.engine import durable
from bmx.engine.device import Device
from bmx.engine.evaluation import batch_size_for
from bmx.engine.fit_task import Trial, trial
from bmx.engine.prepare import Prepared
from bmx.measure.memory import predict_memory
from bmx.tasks.fit import FitTask
from bmx.tasks.losses import objective_for

# Warm-up steps before timing: the first ones allocate and choose kernels.
WARM_UP = 3
MOST_STEPS = 500
# A smaller ratio is within the noise of timing the same steps twice.
NO_GAIN = 1.1


@dataclass(frozen=True)
class MemoryNeeded:
    """Memory on the device while training, in bytes.

    Attributes:
        weights: parameters and buffers.
        step: peak of a step besides these: batch, activations and gradients; None where it cannot be told from shapes.
        optimizer: the optimiser's state.
        data: samples that are held on the device besides the batch; on the CPU they are there already.
        free: free memory of the device now.
    """

    weights: int
    step: int | None
    optimizer: int
    data: int
    free: int

    @property
    def total(self) -> int:
        return self.weights + (self.step or 0) + self.optimizer + self.data

    @property
    def fits(self) -> bool:
        """Whether a tenth of the free memory would remain for everything else."""
        return self.total <= 0.9 * self.free


@dataclass(frozen=True)
class TimeNeeded:
    """Measured times in seconds.

    Attributes:
        step: mean of an optimiser step.
        steps_measured: number of steps averaged.
        validation: one pass over the validation set.
        checkpoint: saving at the end of an epoch.
        epoch: one whole epoch.
        total: all epochs.
    """

    step: float
    steps_measured: int
    validation: float
    checkpoint: float
    epoch: float
    total: float


def memory_needed(prepared: Prepared, net: nn.Module) -> MemoryNeeded:
    """Predicts the memory of training from shapes, without allocating it."""
    device, data = prepared.device, prepared.data
    size = max(part_sizes(prepared.batch_size, int(prepared.cfg.trainer.accumulate), prepared.least))
    raw, _ = data.train.batch(torch.arange(min(size, len(data.train))))
    inputs = InputStage(data.spec).to(device.dtype)(raw)
    model = copy.deepcopy(net).to(device.dtype)
    loss = partial(_loss_of_shape, prepared, len(raw))
    try:
        step = predict_memory(model, inputs, loss, device.autocast).training
    except NotImplementedError:
        step = None
    held, free = 0, available_memory()
    if device.where.type == "cuda":
        kept = (part for part in (data.train, data.val) if part is not None and not part.on_disk)
        held = sum(cast(Tensor, part.inputs).nbytes + part.targets.nbytes for part in kept)
        free = torch.cuda.mem_get_info(device.where)[0]
    return MemoryNeeded(
        weights=sum(t.numel() * t.element_size() for t in [*model.parameters(), *model.buffers()]),
        step=None if step is None else step + inputs.numel() * inputs.element_size(),
        optimizer=round(_state_per_number(prepared) * sum(p.numel() for p in model.parameters() if p.requires_grad)),
        data=held,
        free=free,
    )


def _loss_of_shape(prepared: Prepared, samples: int, outputs: Tensor) -> Tensor:
    """The run's loss on targets with a shape but no values (meta device)."""
    float_targets = prepared.data.spec.task == "regression"
    dtype = torch.float32 if float_targets else torch.int64
    targets = torch.zeros(samples, dtype=dtype, device=outputs.device)
    return objective_for(prepared.data.spec).loss(outputs, targets)


def _state_per_number(prepared: Prepared) -> float:
    """Bytes of optimiser state per trained number, measured by a step on a small matrix."""
    parameter = nn.Parameter(torch.zeros(64, 64, dtype=prepared.device.dtype))
    parameter.grad = torch.ones_like(parameter)
    optimizer = prepared.make_optimizer([parameter])
    optimizer.step(lambda: 0.0)  # optimisers that take a closure get one
    kept = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    return sum(t.numel() * t.element_size() for t in kept) / parameter.numel()


def time_needed(prepared: Prepared, net: nn.Module, seconds: float = 2.0) -> TimeNeeded:
    """Times steps of the run for about ``seconds``, a validation pass over one batch, and a checkpoint.

    The model is a copy and the random state is restored, so that the run itself is unaffected.
    """
    with trial(prepared, net) as run:
        step, made = seconds_of_step(run, seconds)
        validation, checkpoint = _validation(run), _checkpoint(run)
    # The last batch of an epoch holds the remaining samples.
    in_epoch = len(prepared.data.train) / prepared.batch_size
    epoch = step * in_epoch + validation + checkpoint
    return TimeNeeded(step, made, validation, checkpoint, epoch, epoch * prepared.timeline.epochs)


@dataclass(frozen=True)
class Slower:
    """Timings of a precision that is slower than 32-true on this machine.

    Attributes:
        step: seconds of an optimiser step in the precision of the run.
        full: seconds of an optimiser step in 32-true.
    """

    step: float
    full: float

    def __str__(self) -> str:
        times, milliseconds = self.step / self.full, f"{1e3 * self.step:.3g} ms against {1e3 * self.full:.3g} ms"
        return f"{times:.1f} times as slow as 32-true on this CPU: {milliseconds} a step, measured"


def slower_than_full(
    prepared: Prepared, net: nn.Module, make_task: Callable[..., FitTask] = FitTask, seconds: float = 0.15
) -> Slower | None:
    """Times bf16 on a CPU without fast instructions for it; None where it is as fast as 32-true or faster.

    A few steps are made in both precisions, twice in turn, on copies; the random state is restored.

    Args:
        prepared: the checked configuration.
        net: the model.
        make_task: of the run.
        seconds: for each of the four measurements.
    """
    device = prepared.device
    if device.where.type != "cpu" or not device.precision.startswith("bf16"):
        return None
    in_full = replace(prepared, device=Device(device.where, "32-true"))
    found: list[list[float]] = [[], []]
    for _ in range(2):
        for times, one in zip(found, (prepared, in_full), strict=True):
            with trial(one, net, make_task) as run:
                times.append(seconds_of_step(run, seconds)[0])
    step, full = map(min, found)
    return Slower(step, full) if step > NO_GAIN * full else None


def seconds_of_step(run: Trial, seconds: float) -> tuple[float, int]:
    """Mean seconds of a step, and how many were measured; full batches only, unless there are none."""
    if run.prepared.cfg.get("compile"):
        run.task.net.compile()
    batches = _whole(run)
    warm_up_ends = time.perf_counter() + seconds
    for _ in range(WARM_UP):
        run.step(*next(batches))
        _wait(run.device)
        if time.perf_counter() > warm_up_ends:
            break
    began = now = time.perf_counter()
    made = 0
    while made == 0 or (now - began < seconds and made < MOST_STEPS):
        run.step(*next(batches))
        made += 1
        if made % 10 == 0 or run.device.where.type != "cuda":
            _wait(run.device)
            now = time.perf_counter()
    _wait(run.device)
    return (time.perf_counter() - began) / made, made


def _whole(run: Trial) -> Iterator[Batch]:
    size = min(run.prepared.batch_size, len(run.prepared.data.train))
    return (batch for batch in run.batches() if len(batch[1]) >= size)


def _validation(run: Trial) -> float:
    """Seconds of a pass over the validation set, extrapolated from a part of it."""
    held_out, task = run.prepared.data.val, run.task
    if held_out is None:
        return 0.0
    some = torch.arange(min(batch_size_for(run.prepared.data.spec), len(held_out)))
    inputs = held_out.batch(some)[0].to(run.device.where)
    task.eval()
    took = []
    with torch.no_grad(), run.device.autocast():
        for _ in range(2):
            began = time.perf_counter()
            task(inputs)
            _wait(run.device)
            took.append(time.perf_counter() - began)
    task.train()
    return min(took) * len(held_out) / len(some)


def _checkpoint(run: Trial) -> float:
    """Seconds to save the model and the state of the run once each, into the folder for temporary files."""
    state = {"model": run.task.net.state_dict(), "optimizer": run.optimizer.state_dict()}
    with tempfile.TemporaryDirectory(prefix="bmx-plan-") as folder:
        began = time.perf_counter()
        durable.write(Path(folder) / "best.ckpt", partial(torch.save, state["model"]))
        durable.write(Path(folder) / "last.ckpt", partial(torch.save, state))
        return time.perf_counter() - began


def _wait(device: Device) -> None:
    if device.where.type == "cuda":
        torch.cuda.synchronize(device.where)
