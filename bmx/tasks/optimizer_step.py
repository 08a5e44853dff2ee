"""One optimiser step: gradient accumulation, L1/L2 penalties, gradient clipping, loss scaling."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bmx.data.pipeline.batches import part_sizes
from bmx.distributed.shared_steps import BatchLoss
from bmx.optim.penalties import Penalties


@dataclass(frozen=True)
class FitSettings:
    """Settings of the optimiser step, besides optimiser and schedule.

    Args:
        log_every: steps between two rows of metrics.
        accumulate: parts that a batch is split into to save memory; the step stays the same.
        clip_norm: largest norm of the gradient; None does not clip.
        l1: strength of the L1 penalty.
        l2: strength of the L2 penalty.
        least: minimum batch size of the net.
    """

    log_every: int = 100
    accumulate: int = 1
    clip_norm: float | None = None
    l1: float = 0.0
    l2: float = 0.0
    least: int = 1


class StepHooks(Protocol):
    """Hooks called within a step, at the points that Lightning documents."""

    def before_zero_grad(self, optimizer: Optimizer) -> None: ...

    def before_backward(self, loss: Tensor) -> None: ...

    def after_backward(self) -> None: ...

    def before_optimizer_step(self, optimizer: Optimizer) -> None: ...


def wants_closure(optimizer: Optimizer) -> bool:
    """Whether an optimiser needs a closure that recomputes the loss, as L-BFGS does."""
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


class TrainStep:
    """Makes optimiser steps: the ones of a run, and those of the trials that find its settings and its cost.

    Args:
        optimizer: steps the parameters of ``net``, in any number of groups; it gets a closure if it needs one.
        net: the model.
        settings: see :class:`FitSettings`.
        scaler: the loss scaler of fp16, or None.
        autocast: whether steps are made within an autocast context.
        before_backward: called with each loss right before its backward pass, as ranks need it to add up gradients.
        hooks: called within the step, each time that the loss is computed; None where nobody wants to be.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        net: nn.Module,
        settings: FitSettings,
        scaler: Any | None = None,
        autocast: bool = False,
        hooks: StepHooks | None = None,
        before_backward: Callable[[Tensor], None] | None = None,
    ) -> None:
        self.optimizer = optimizer
        self.settings = settings
        self.parameters = [p for p in net.parameters() if p.requires_grad]
        self.penalties = Penalties(self.parameters, settings.l1, settings.l2)
        self.scaler = scaler
        self.autocast = autocast
        self.hooks = hooks
        self.before_backward = before_backward
        self.by_closure = wants_closure(optimizer)

    def step(self, batch_loss: BatchLoss, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Makes one step and returns the batch's detached mean loss and score sum, as they were before it."""
        if self.by_closure:
            loss, score = self._step_by_closure(batch_loss, inputs, targets)
        else:
            loss, score = self._gradients(batch_loss, inputs, targets)
            if self.scaler is None:
                self.optimizer.step()
            else:
                self.scaler.step(self.optimizer)
                self.scaler.update()
        if self.autocast:
            # Autocast caches low-precision copies of the weights until its context ends; they are stale now.
            torch.clear_autocast_cache()
        return loss, score

    def _step_by_closure(self, batch_loss: BatchLoss, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        found: list[tuple[Tensor, Tensor]] = []

        def closure() -> Tensor:
            if self.autocast:
                torch.clear_autocast_cache()
            loss, score = self._gradients(batch_loss, inputs, targets)
            found.append((loss, score))
            # Line searches compare values, so the value must include every term that has a gradient.
            return loss + self.penalties.value() if self.penalties.active else loss

        self.optimizer.step(cast(Any, closure))
        return found[0]

    def _gradients(self, batch_loss: BatchLoss, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the gradients of the whole objective; returns the detached mean loss and score sum."""
        optimizer, hooks = self.optimizer, self.hooks
        if hooks is not None:
            hooks.before_zero_grad(optimizer)
        optimizer.zero_grad(set_to_none=True)
        if self.settings.accumulate == 1:
            loss, score = batch_loss(inputs, targets)
            self._backward(loss)
            loss = loss.detach()
        else:
            loss, score = self._accumulated(batch_loss, inputs, targets)
        if self.scaler is not None:
            self.scaler.unscale_(optimizer)
        if hooks is not None:
            # At this hook gradients are those of the loss, neither scaled nor clipped.
            hooks.before_optimizer_step(optimizer)
        if self.penalties.active:
            self.penalties.add_gradients()
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.settings.clip_norm)
        return loss, score

    def _accumulated(self, batch_loss: BatchLoss, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        sizes = part_sizes(len(targets), self.settings.accumulate, self.settings.least)
        losses, scores = [], []
        for part, part_targets in zip(inputs.split(sizes), targets.split(sizes), strict=True):
            loss, score = batch_loss(part, part_targets)
            loss = loss * (len(part_targets) / len(targets))
            self._backward(loss)
            losses.append(loss.detach())
            scores.append(score)
        return sum(losses[1:], losses[0]), sum(scores[1:], scores[0])

    def _backward(self, loss: Tensor) -> None:
        loss = loss if self.scaler is None else self.scaler.scale(loss)
        if self.hooks is not None:
            self.hooks.before_backward(loss)
        if self.before_backward is not None:
            self.before_backward(loss)
        loss.backward()
        if self.hooks is not None:
            self.hooks.after_backward()
