"""torch's own schedulers as the schedule of a run: ``torch.optim.lr_scheduler.StepLR`` and its like.

Unlike bmx's schedules they go from rate to rate, so what they are at is part of a run's state.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    CyclicLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
)

from bmx.optim.schedules import Schedule, Timeline

EPOCH, STEP = "epoch", "step"
_EVERY_STEP = (OneCycleLR, CyclicLR)
_NESTED = (SequentialLR, ChainedScheduler)
# Steps that are tried before a run; a scheduler that ends too early is found by its total before that.
_TRIED = 2000


@dataclass(frozen=True, kw_only=True)
class TorchSchedule(Schedule):
    """A scheduler of torch's, made for the optimiser of a run.

    Args:
        kind: the class.
        arguments: of its constructor, besides the optimiser.
        interval: ``epoch`` moves it on after each epoch, ``step`` after each optimiser step; None what suits the class.
        monitor: what ReduceLROnPlateau follows; None is ``val/loss``, or ``train/loss`` without a validation set.
    """

    kind: type[LRScheduler]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    interval: str | None = None
    monitor: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        name = self.kind.__name__
        if issubclass(self.kind, _NESTED):
            raise ValueError(f"{name} is made of other schedulers, and bmx makes one; its own have a `warmup`")
        if self.interval not in (None, EPOCH, STEP):
            raise ValueError(f"`interval` must be epoch or step, got {self.interval!r}")
        if self.follows_loss and self.interval == STEP:
            raise ValueError(f"{name} follows what is measured once an epoch: `interval` must be epoch")
        if self.monitor is not None and not self.follows_loss:
            raise ValueError(f"{name} follows no metric: `monitor` would be ignored")
        if self.warmup:
            raise ValueError(f"{name} has no `warmup`; bmx's own schedules have")
        if self.arguments.get("last_epoch", -1) != -1:
            raise ValueError("`last_epoch` is where a run stands: resume= knows it")

    @property
    def names(self) -> tuple[str, ...]:
        """The arguments of the class."""
        return tuple(inspect.signature(self.kind).parameters)

    @property
    def follows_loss(self) -> bool:
        """Whether it is told a metric after each epoch."""
        return issubclass(self.kind, ReduceLROnPlateau)

    @property
    def every_step(self) -> bool:
        """Whether it moves on after each optimiser step."""
        return (self.interval or (STEP if issubclass(self.kind, _EVERY_STEP) else EPOCH)) == STEP

    def filled(self, timeline: Timeline, rates: list[float]) -> dict[str, Any]:
        """The constructor's arguments, with what the run knows in the place of those that are not given.

        Args:
            timeline: the length of the run.
            rates: the base rate of each group of the optimiser.
        """
        moves = timeline.steps if self.every_step else timeline.epochs
        given = {name: value for name, value in self.arguments.items() if value is not None}
        rate: Any = rates if len(rates) > 1 else rates[0]
        known: dict[str, Any] = {"T_max": moves, "base_lr": rate}
        if "base_lr" not in self.names:
            known["max_lr"] = rate
        if issubclass(self.kind, OneCycleLR) and "epochs" not in given and "steps_per_epoch" not in given:
            known["total_steps"] = moves
        return {name: value for name, value in known.items() if name in self.names} | given

    def start(self, optimizer: Optimizer, timeline: Timeline) -> LRScheduler:
        """Makes the scheduler; the optimiser has the rate of the first step afterwards.

        Raises:
            ValueError, TypeError: arguments that it does not accept, or that end before the run.
        """
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        scheduler = self.kind(optimizer, **self.filled(timeline, rates))
        moves = timeline.steps if self.every_step else timeline.epochs
        total = getattr(scheduler, "total_steps", None)
        if total is not None and total < moves:
            raise ValueError(f"`total_steps` is {total}, and the run makes {moves} moves: leave it out, it is known")
        return scheduler

    def try_out(self, optimizer: Optimizer, timeline: Timeline) -> list[float]:
        """The rates of the first moves, with an optimiser that is thrown away; finds what only shows then."""
        scheduler = self.start(optimizer, timeline)
        moves = min(timeline.steps if self.every_step else timeline.epochs, _TRIED)
        rates = [float(optimizer.param_groups[0]["lr"])]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that no step of the optimiser is made in between
            for _ in range(moves - 1):
                move: Callable[..., None] = scheduler.step
                move(*([1.0] if self.follows_loss else []))
                rates.append(float(optimizer.param_groups[0]["lr"]))
        return rates


class Following:
    """A scheduler of torch's that goes along with a run.

    Args:
        schedule: what it is.
        optimizer: freshly made.
        timeline: the length of the run.
    """

    def __init__(self, schedule: TorchSchedule, optimizer: Optimizer, timeline: Timeline) -> None:
        self.schedule = schedule
        self.timeline = timeline
        self.arguments = plain_arguments(schedule, optimizer, timeline)
        self.scheduler = schedule.start(optimizer, timeline)

    def reach(self, step: int) -> None:
        """Sets the rate of optimiser step ``step`` of the run, from 0."""
        if self.schedule.follows_loss:
            return
        wanted = step if self.schedule.every_step else step // self.timeline.steps_per_epoch
        while self.scheduler.last_epoch < wanted:
            self.scheduler.step()

    def end_epoch(self, metrics: Mapping[str, float | int | str]) -> None:
        """Tells a scheduler that follows a metric what it was."""
        if self.schedule.follows_loss:
            name = self.schedule.monitor or ("val/loss" if "val/loss" in metrics else "train/loss")
            move: Callable[..., None] = self.scheduler.step
            move(float(metrics[name]))

    def state_dict(self) -> dict[str, Any]:
        return {"arguments": self.arguments, "scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scheduler.load_state_dict(state["scheduler"])


def plain_arguments(schedule: TorchSchedule, optimizer: Optimizer, timeline: Timeline) -> dict[str, Any]:
    """What a scheduler was made with, its rates and moves included, to be compared on resume."""
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    filled = schedule.filled(timeline, rates)
    told = {"class": schedule.kind.__name__, "interval": STEP if schedule.every_step else EPOCH, "lr": rates}
    return told | {name: value if _is_plain(value) else repr(type(value)) for name, value in filled.items()}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(part) for part in value)
    return value is None or isinstance(value, bool | int | float | str)
