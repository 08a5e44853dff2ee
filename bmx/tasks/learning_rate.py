"""Sets the learning rate (and momentum) of every step from a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer

from bmx.errors import RunFailed
from bmx.optim.schedules import OneCycle, Plateau, PlateauState, Schedule, Timeline
from bmx.optim.torch_schedules import Following, TorchSchedule


class Rates:
    """Controls the learning rates of an optimiser over a run.

    Args:
        optimizer: freshly built, with the configured hyperparameters.
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
        self.torch = Following(schedule, optimizer, timeline) if isinstance(schedule, TorchSchedule) else None
        # A rate that never changes need not be set in every step.
        self.fixed = type(schedule) is Schedule and schedule.warmup == 0
        self._set: list[float] | None = None
        self._configured_before: list[dict[str, Any]] | None = None

    @property
    def lr(self) -> float:
        """The learning rate of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def set(self, step: int) -> None:
        """Sets the rates of step ``step`` of the run, from 0.

        Raises:
            RunFailed: something else has changed them, which would silently be overwritten.
        """
        self._check_own()
        if self.torch is not None:
            self.torch.reach(step)
        else:
            self._set_factor(step)
        self._set = [float(group["lr"]) for group in self.optimizer.param_groups]

    def _check_own(self) -> None:
        now = [float(group["lr"]) for group in self.optimizer.param_groups]
        if len(now) != len(self._bases):
            raise RunFailed(
                f"the optimiser has {len(now)} groups of parameters now, and had {len(self._bases)} at the start",
                "trainer.callbacks",
                "leave the groups as they are: freeze layers in the model, or train in two runs with init_from=",
            )
        if self._set is not None and now != self._set:
            raise RunFailed(
                f"the learning rate was {self._set[0]:g} and is {now[0]:g}: a callback has set it, and the schedule "
                "would overrule it",
                "trainer.callbacks, scheduler",
                "use scheduler=constant, or leave the rate to the scheduler",
            )

    def _set_factor(self, step: int) -> None:
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

    def end_epoch(self, metrics: Mapping[str, float | int | str]) -> None:
        """Updates a schedule that follows a metric; without a validation set that is the training loss."""
        if self.plateau is not None:
            self.plateau.update(float(metrics.get("val/loss", metrics["train/loss"])))
        if self.torch is not None:
            self._check_own()
            self.torch.end_epoch(metrics)
            self._set = [float(group["lr"]) for group in self.optimizer.param_groups]

    def keep_configured(self) -> None:
        """Gives configured hyperparameters precedence over those restored with the optimiser's state.

        Those that the schedule sets in every step stay as in the last step, and so do those whose configured value has
        not changed: a callback may have changed them since.
        """
        scheduled = set() if self.fixed else {"lr"}
        if isinstance(self.schedule, OneCycle) or self.torch is not None:
            scheduled |= {"betas", "momentum"}
        before = self._configured_before or [{} for _ in self._configured]
        for group, configured, then in zip(self.optimizer.param_groups, self._configured, before, strict=True):
            for name, value in configured.items():
                if name not in scheduled and (name not in then or then[name] != _kept(value)):
                    group[name] = value

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"configured": [{k: _kept(v) for k, v in g.items()} for g in self._configured]}
        if self.plateau is not None:
            state["plateau"] = self.plateau.state_dict()
        if self.torch is not None:
            state["torch"] = self.torch.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        if state is None:
            return
        self._configured_before = state["configured"]
        if self.plateau is not None and "plateau" in state:
            self.plateau.load_state_dict(state["plateau"])
        if self.torch is not None and "torch" in state:
            self.torch.load_state_dict(state["torch"])


def _kept(value: Any) -> Any:
    """A hyperparameter as a checkpoint stores it."""
    if isinstance(value, list | tuple):
        return [_kept(part) for part in value]
    return value if value is None or type(value) in (bool, int, float, str) else str(value)
