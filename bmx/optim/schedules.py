"""Learning-rate schedules in closed form: the factor on the base rate is a function of the step alone.

A schedule that is a function needs no state of its own, so a resumed run cannot disagree with one that never stopped.
Each is tested against torch's scheduler of the same name. The one exception, :class:`Plateau`, follows a measured
metric and keeps torch's own state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau


@dataclass(frozen=True)
class Timeline:
    """The length of a training run.

    Args:
        steps_per_epoch: optimiser steps in one epoch.
        epochs: epochs in the run.
    """

    steps_per_epoch: int
    epochs: int

    @property
    def steps(self) -> int:
        """Optimiser steps in the whole run."""
        return self.steps_per_epoch * self.epochs


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A constant learning rate, and what all schedules share.

    Args:
        warmup: epochs over which the rate rises linearly from ``warmup_start`` × lr to where the schedule begins, which
            is lr for all but :class:`OneCycle`; fractions are allowed. The schedule proper covers what is left of the
            run.
        warmup_start: the factor at step 0 of the warm-up.

    Raises:
        ValueError: a field that is out of its range, or not finite.
    """

    warmup: float = 0.0
    warmup_start: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.warmup < math.inf:
            raise ValueError(f"`warmup` must be at least 0 epochs, got {self.warmup}")
        _between("warmup_start", self.warmup_start, 0, 1)

    def check(self, timeline: Timeline) -> None:
        """Raises ValueError where the schedule does not fit into the run."""
        if self.warmup_steps(timeline) >= timeline.steps:
            left = f"{timeline.epochs} epochs of {timeline.steps_per_epoch} steps"
            raise ValueError(f"a warm-up of {self.warmup} epochs leaves nothing of {left}")

    def warmup_steps(self, timeline: Timeline) -> int:
        """Steps of the warm-up."""
        return round(self.warmup * timeline.steps_per_epoch)

    def factor(self, step: int, timeline: Timeline) -> float:
        """What the base learning rate is multiplied with in optimiser step ``step`` (from 0)."""
        warmup_steps = self.warmup_steps(timeline)
        left = timeline.steps - warmup_steps
        if step < warmup_steps:
            goal = self.after_warmup(0, left, timeline.steps_per_epoch) if left > 0 else 1.0
            start = min(self.warmup_start, goal)
            return start + (goal - start) * step / warmup_steps
        return self.after_warmup(step - warmup_steps, left, timeline.steps_per_epoch)

    def after_warmup(self, step: int, steps: int, steps_per_epoch: int) -> float:
        """The factor ``step`` steps after the warm-up, of ``steps`` that are left."""
        return 1.0

    def momentum(self, step: int, timeline: Timeline) -> float | None:
        """The momentum (or Adam's first beta) of this step; None leaves the optimiser's own."""
        return None


@dataclass(frozen=True, kw_only=True)
class Exponential(Schedule):
    """lr × gamma^epoch, one step down after each epoch (torch's ExponentialLR)."""

    gamma: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        _drop("gamma", self.gamma)

    def after_warmup(self, step: int, steps: int, steps_per_epoch: int) -> float:
        return self.gamma ** (step // steps_per_epoch)


@dataclass(frozen=True, kw_only=True)
class Step(Schedule):
    """lr × gamma^(epoch // every) (torch's StepLR).

    Args:
        every: epochs between two drops.
        gamma: the factor of a drop.
    """

    every: int = 3
    gamma: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        _drop("gamma", self.gamma)
        if not 0 < self.every < math.inf:
            raise ValueError(f"`every` must be a positive number of epochs, got {self.every}")

    def after_warmup(self, step: int, steps: int, steps_per_epoch: int) -> float:
        return self.gamma ** (step // steps_per_epoch // self.every)


@dataclass(frozen=True, kw_only=True)
class MultiStep(Schedule):
    """lr × gamma^(milestones passed) (torch's MultiStepLR).

    Args:
        milestones: epochs, counted from the end of the warm-up, at which the rate drops.
        gamma: the factor of a drop.
    """

    milestones: tuple[int, ...] | list[int] = (5, 8)
    gamma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        _drop("gamma", self.gamma)
        for milestone in self.milestones:
            if not 0 <= milestone < math.inf:
                raise ValueError(f"`milestones` must be epochs from 0 on, got {milestone}")

    def after_warmup(self, step: int, steps: int, steps_per_epoch: int) -> float:
        epoch = step // steps_per_epoch
        return self.gamma ** sum(epoch >= milestone for milestone in self.milestones)


@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """Half a cosine from lr to ``final`` × lr over the run (SGDR without restarts, Loshchilov & Hutter 2017)."""

    final: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _between("final", self.final, 0, 1)

    def after_warmup(self, step: int, steps: int, steps_per_epoch: int) -> float:
        return _cosine(1.0, self.final, step / steps)


@dataclass(frozen=True, kw_only=True)
class OneCycle(Schedule):
    """Up from lr / ``div`` to lr, down to lr / (``div`` × ``final_div``); momentum runs the other way (Smith 2018).

    The closed form of torch's OneCycleLR with cosine annealing. A run that is too short for a rise begins at its peak,
    one of a single step is that peak.

    Args:
        rise: the fraction of the run in which the rate rises.
        div: lr over the rate of the first step, 1 or more.
        final_div: the rate of the first step over that of the last, 1 or more.
        max_momentum: momentum (Adam: beta 1) at the lowest rate, below 1; null leaves it alone.
        min_momentum: momentum at the highest rate.
    """

    rise: float = 0.3
    div: float = 25.0
    final_div: float = 1e4
    max_momentum: float | None = 0.95
    min_momentum: float = 0.85

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rise < 1:
            raise ValueError(f"`rise` must be between 0 and 1, got {self.rise}")
        for name, value in (("div", self.div), ("final_div", self.final_div)):
            if not 1 <= value < math.inf:
                raise ValueError(f"`{name}` must be at least 1, got {value}")
        if self.max_momentum is not None:
            if not 0 <= self.max_momentum < 1:
                raise ValueError(f"`max_momentum` must be at least 0 and below 1, got {self.max_momentum}")
            _between("min_momentum", self.min_momentum, 0, self.max_momentum)

    def _phase(self, step: int, steps: int) -> tuple[bool, float]:
        """Whether the rate rises at this step, and how much of that phase is done."""
        top = self.rise * steps - 1
        if steps == 1 or step == top == 0:
            return True, 1.0  # no room for a rise: this is the peak
        if step <= top:
            return True, step / top
        return False, min(1.0, (step - top) / (steps - 1 - top))

    def after_warmup(self, step: int, steps: int, steps_per_epoch: int) -> float:
        low, end = 1.0 / self.div, 1.0 / (self.div * self.final_div)
        rising, done = self._phase(step, steps)
        return _cosine(low, 1.0, done) if rising else _cosine(1.0, end, done)

    def momentum(self, step: int, timeline: Timeline) -> float | None:
        warmup_steps = self.warmup_steps(timeline)
        if self.max_momentum is None or step < warmup_steps:
            return None
        rising, done = self._phase(step - warmup_steps, timeline.steps - warmup_steps)
        high, low = self.max_momentum, self.min_momentum
        return _cosine(high, low, done) if rising else _cosine(low, high, done)


@dataclass(frozen=True, kw_only=True)
class Plateau(Schedule):
    """Multiplies the rate by ``gamma`` when the validation loss has not fallen for ``patience`` epochs.

    torch's ReduceLROnPlateau decides; without a validation set the training loss is followed.

    Args:
        gamma: the factor of a drop.
        patience: epochs without improvement that are tolerated.
        threshold: relative improvement that counts.
        minimum: the rate never falls below this.
    """

    gamma: float = 0.5
    patience: int = 2
    threshold: float = 1e-4
    minimum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.gamma < 1:
            raise ValueError(f"`gamma` must be between 0 and 1, got {self.gamma}")
        for name, value, of in (("patience", self.patience, " epochs"), ("threshold", self.threshold, ""),
                                ("minimum", self.minimum, "")):  # fmt: skip
            if not 0 <= value < math.inf:
                raise ValueError(f"`{name}` must be at least 0{of}, got {value}")


class PlateauState:
    """The measured part of :class:`Plateau`: the factor so far, driven by torch's ReduceLROnPlateau.

    Args:
        schedule: its settings.
        lr: the base learning rate, which turns ``minimum`` into a factor.
    """

    def __init__(self, schedule: Plateau, lr: float) -> None:
        # torch's class wants an optimiser; one with a single number for a rate makes it a pure decision rule.
        self._rate = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        self._rule = ReduceLROnPlateau(
            self._rate,
            factor=schedule.gamma,
            patience=schedule.patience,
            threshold=schedule.threshold,
            # Above the rate itself it would make torch's rule raise what it is there to lower.
            min_lr=min(1.0, schedule.minimum / lr),
        )

    @property
    def factor(self) -> float:
        return float(self._rate.param_groups[0]["lr"])

    def update(self, loss: float) -> None:
        """Takes the loss of an epoch into account."""
        self._rule.step(loss)

    def state_dict(self) -> dict[str, Any]:
        rule = self._rule
        return {"factor": self.factor, "best": rule.best, "bad": rule.num_bad_epochs, "cooldown": rule.cooldown_counter}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._rate.param_groups[0]["lr"] = state["factor"]
        self._rule.best, self._rule.num_bad_epochs = state["best"], state["bad"]
        self._rule.cooldown_counter = state["cooldown"]


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * done))


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"`{name}` must be between {low} and {high}, got {value}")


def _drop(name: str, value: float) -> None:
    """A factor that is applied again and again: above 1 the rate would grow without end."""
    if not 0 < value <= 1:
        raise ValueError(f"`{name}` must be above 0 and at most 1, got {value}")
