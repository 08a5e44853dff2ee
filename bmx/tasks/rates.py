"""Sets the learning rate (and momentum) of every step from the schedule."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from bmx.optim.schedules import OneCycle, Plateau, PlateauState, Schedule, Timeline


class Rates:
    """The rates of an optimiser over a run.

    Args:
        optimizer: freshly made; its own hyperparameters are the configured ones.
        schedule: the learning-rate schedule.
        timeline: steps per epoch and epochs.
    """

    def __init__(self, optimizer: Optimizer, schedule: Schedule, timeline: Timeline) -> None:
        self.optimizer = optimizer
        self.schedule = schedule
        self.timeline = timeline
        self._configured = [
            {name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups
        ]
        self._bases = [float(group["lr"]) for group in optimizer.param_groups]
        self.plateau = PlateauState(schedule, max(self._bases)) if isinstance(schedule, Plateau) else None
        # A rate that never changes need not be set in every step.
        self.fixed = type(schedule) is Schedule and schedule.warmup == 0

    @property
    def lr(self) -> float:
        """The learning rate of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def set(self, step: int) -> None:
        """Sets the rates of step ``step`` of the run, from 0."""
        factor = self.schedule.factor(step, self.timeline)
        if self.plateau is not None:
            factor *= self.plateau.factor
        momentum = self.schedule.momentum(step, self.timeline)
        for group, base in zip(self.optimizer.param_groups, self._bases, strict=True):
            group["lr"] = base * factor
            if momentum is not None:
                if "betas" in group:
                    group["betas"] = (momentum, group["betas"][1])
                elif "momentum" in group:
                    group["momentum"] = momentum

    def end_epoch(self, loss: float) -> None:
        """Tells a schedule that follows the loss what it was."""
        if self.plateau is not None:
            self.plateau.update(loss)

    def keep_configured(self) -> None:
        """Lets the configuration win over the hyperparameters that came back with the optimiser's state.

        What the schedule sets in every step stays as the last step had it.
        """
        scheduled = set() if self.fixed else {"lr"}
        if isinstance(self.schedule, OneCycle):
            scheduled |= {"betas", "momentum"}
        for group, configured in zip(self.optimizer.param_groups, self._configured, strict=True):
            group.update({name: value for name, value in configured.items() if name not in scheduled})

    def state_dict(self) -> dict[str, Any] | None:
        return self.plateau.state_dict() if self.plateau is not None else None

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        if state is not None and self.plateau is not None:
            self.plateau.load_state_dict(state)
