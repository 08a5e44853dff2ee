"""The LightningModule that trains any model of bmx: several optimiser steps in one ``training_step``.

Lightning costs a few hundred microseconds per batch, ``self.log`` as much again. Here Lightning sees one batch per
block of steps (see :mod:`bmx.tasks.blocks`), sums stay on the device until a row is written, and whatever has to
happen between steps is asked for by a pulse that is nearly free when nothing is due.
"""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bmx.data.batches import Position
from bmx.errors import RunFailed
from bmx.optim.penalties import Penalties
from bmx.optim.schedules import OneCycle, Plateau, PlateauState, Schedule, Timeline
from bmx.tasks.blocks import Block, StepBlocks
from bmx.tasks.objectives import Objective
from bmx.tasks.sums import RunningSums, Totals

log = logging.getLogger("bmx.train")

# Seconds between two looks at the outside world (display, clock-driven checkpoints) while steps are being made.
PULSE_SECONDS = 0.25

Row = dict[str, float | int | str]


@dataclass(frozen=True)
class FitSettings:
    """What shapes the optimiser step, besides optimiser and schedule.

    Args:
        log_every: steps between two rows of metrics.
        accumulate: parts a batch is split into, one after another, to save memory; the step stays the same.
        clip_norm: largest norm of the gradient; None does not clip.
        l1: strength of the L1 penalty.
        l2: strength of the L2 penalty.
    """

    log_every: int = 100
    accumulate: int = 1
    clip_norm: float | None = None
    l1: float = 0.0
    l2: float = 0.0


class FitTask(pl.LightningModule):
    """Fits a plain model to a data set.

    Args:
        net: takes what ``input_stage`` returns, gives logits (N, K) or predictions (N, 1).
        input_stage: turns raw batches into the net's inputs.
        objective: loss and score.
        make_optimizer: from the net's parameters to an optimiser.
        schedule: the learning-rate schedule.
        timeline: steps per epoch and epochs.
        position: where training stands; shared with the loader.
        settings: see :class:`FitSettings`.
    """

    def __init__(
        self,
        net: nn.Module,
        input_stage: nn.Module,
        objective: Objective,
        make_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        schedule: Schedule,
        timeline: Timeline,
        position: Position,
        settings: FitSettings,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net = net
        self.input_stage = input_stage
        self.objective = objective
        self.schedule = schedule
        self.timeline = timeline
        self.position = position
        self.settings = settings
        self._make_optimizer = make_optimizer
        self.sums = RunningSums()
        self.validation = Totals()
        self.penalties = Penalties(net.parameters(), settings.l1, settings.l2)
        self.plateau: PlateauState | None = None
        self.steps_done = 0
        self.epoch_row: Row = {}
        # Called between steps when its time has come; the engine puts display, checkpoints and signals here.
        self.pulse: Callable[[FitTask], None] = lambda task: None
        self.pulse_now = False
        # A pulse comes after this many steps of the run at the latest.
        self.wake_at = sys.maxsize
        # Called once, right before the first step: the engine restores the random state of a resumed run here.
        self.before_first_step: Callable[[], None] | None = None
        # What a checkpoint holds besides weights, optimiser and progress: configuration, random state, rows written.
        self.surroundings: Callable[[], dict[str, Any]] = dict
        self._plateau_state: dict[str, Any] | None = None
        self.write_row: Callable[[Row], None] = lambda row: None

    # -- optimiser ---------------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> Optimizer:
        self._optimizer = self._make_optimizer(p for p in self.net.parameters() if p.requires_grad)
        self._configured_groups = [
            {name: value for name, value in group.items() if name != "params"} for group in self._optimizer.param_groups
        ]
        self._base_lrs = [float(group["lr"]) for group in self._optimizer.param_groups]
        if isinstance(self.schedule, Plateau):
            self.plateau = PlateauState(self.schedule, max(self._base_lrs))
            if self._plateau_state is not None:
                self.plateau.load_state_dict(self._plateau_state)
        self._fixed_lr = type(self.schedule) is Schedule and self.schedule.warmup == 0
        return self._optimizer

    @property
    def lr(self) -> float:
        """The learning rate of the last step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def _set_rates(self) -> None:
        step = self.position.epoch * self.timeline.steps_per_epoch + self.position.step
        factor = self.schedule.factor(step, self.timeline)
        if self.plateau is not None:
            factor *= self.plateau.factor
        momentum = self.schedule.momentum(step, self.timeline)
        for group, base in zip(self._optimizer.param_groups, self._base_lrs, strict=True):
            group["lr"] = base * factor
            if momentum is not None:
                if "betas" in group:
                    group["betas"] = (momentum, group["betas"][1])
                elif "momentum" in group:
                    group["momentum"] = momentum

    # -- training ----------------------------------------------------------------------------------------------------

    def on_train_start(self) -> None:
        # Without whole blocks behind it an epoch begins like any other; see set_loop_position.
        self.trainer.fit_loop.restarting = self._blocks_done() > 0
        self._scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        self._autocast = "mixed" in str(self.trainer.precision)
        self._parameters_list = [p for p in self.net.parameters() if p.requires_grad]

    def training_step(self, block: Block, block_index: int) -> None:
        """Makes an optimiser step for every batch of the block."""
        if self.before_first_step is not None:
            self.before_first_step()
            self.before_first_step = None
        position, log_every, clock = self.position, self.settings.log_every, time.perf_counter
        due = clock() + PULSE_SECONDS
        for inputs, targets in block:
            if not self._fixed_lr:
                self._set_rates()
            self._step(inputs, targets)
            position.step += 1
            self.steps_done += 1
            if position.step % log_every == 0:
                self._window_row()
            if clock() >= due or self.pulse_now or self.steps_done >= self.wake_at:
                self.sync()
                self.pulse(self)
                due = clock() + PULSE_SECONDS
        self.sync()

    def batch_loss(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss of a raw batch, to be differentiated, and its detached score sum."""
        outputs = self.net(self.input_stage(inputs))
        return self.objective.loss(outputs, targets), self.objective.score_sum(outputs.detach(), targets)

    def _step(self, inputs: Tensor, targets: Tensor) -> None:
        optimizer, n = self._optimizer, len(targets)
        optimizer.zero_grad(set_to_none=True)
        if self.settings.accumulate == 1:
            loss, score = self.batch_loss(inputs, targets)
            self._backward(loss)
            loss = loss.detach()
        else:
            loss, score = self._accumulated(inputs, targets, n)
        if self._scaler is not None:
            self._scaler.unscale_(optimizer)
        if self.penalties.active:
            self.penalties.add_gradients()
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._parameters_list, self.settings.clip_norm)
        if self._scaler is None:
            optimizer.step()
        else:
            self._scaler.step(optimizer)
            self._scaler.update()
        if self._autocast:
            # Autocast keeps low-precision copies of the weights until its context ends; they are stale now.
            torch.clear_autocast_cache()
        self.sums.add(loss, score, n)

    def _accumulated(self, inputs: Tensor, targets: Tensor, n: int) -> tuple[Tensor, Tensor]:
        size = -(-n // self.settings.accumulate)
        total, score = torch.zeros((), device=inputs.device), torch.zeros((), device=inputs.device)
        for part, part_targets in zip(inputs.split(size), targets.split(size), strict=True):
            loss, part_score = self.batch_loss(part, part_targets)
            loss = loss * (len(part_targets) / n)
            self._backward(loss)
            total += loss.detach()
            score += part_score
        return total, score

    def _backward(self, loss: Tensor) -> None:
        (loss if self._scaler is None else self._scaler.scale(loss)).backward()

    def sync(self) -> None:
        """Reads the pending sums and tells Lightning how many steps were made.

        Raises:
            RunFailed: a loss was not finite.
        """
        steps_after = self.sums.flush()
        if steps_after is not None:
            step = self.position.step - steps_after
            raise RunFailed(
                f"the loss is no longer a finite number (epoch {self.position.epoch + 1}, step {step}, lr {self.lr:g})",
                "training",
                f"try a smaller step (lr={self.lr / 10:g}), trainer.clip_norm=1, scheduler.warmup=1 or "
                "precision=32-true; the last checkpoint is from before the failure",
            )
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        progress.total.completed = progress.total.ready = self.steps_done

    def _window_row(self) -> None:
        self.sync()
        window, steps = self.sums.window, self.timeline.steps_per_epoch
        self.sums.window = Totals()
        row: Row = {"row": "step", "epoch": self.position.epoch + 1, "step": self.steps_done, "lr": self.lr}
        row |= self._named("train", window)
        self.write_row(row)
        log.info(
            "epoch %d  step %d/%d (%.0f %%)  loss %.4f  lr %.4g",
            self.position.epoch + 1,
            self.position.step,
            steps,
            100 * self.position.step / steps,
            window.mean_loss,
            self.lr,
        )

    def _named(self, prefix: str, totals: Totals) -> Row:
        if not totals.n:
            return {}
        score = self.objective.score(totals.score, totals.n)
        return {f"{prefix}/loss": totals.mean_loss, f"{prefix}/{self.objective.score_name}": score}

    def on_train_epoch_end(self) -> None:
        row: Row = {"row": "epoch", "epoch": self.position.epoch + 1, "step": self.steps_done, "lr": self.lr}
        row |= self._named("train", self.sums.epoch) | self._named("val", self.validation)
        self.write_row(row)
        self.epoch_row = row
        if self.plateau is not None:
            self.plateau.update(cast(float, row.get("val/loss", row["train/loss"])))
        self.position.epoch, self.position.step = self.position.epoch + 1, 0
        self.sums = RunningSums()

    # -- validation --------------------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        self.validation = Totals()

    def validation_step(self, block: Block, block_index: int) -> None:
        """Adds up loss and score of every batch of the block."""
        sums = RunningSums()
        for inputs, targets in block:
            outputs = self.net(self.input_stage(inputs))
            sums.add(self.objective.loss(outputs, targets), self.objective.score_sum(outputs, targets), len(targets))
        finite = sums.flush() is None
        self.validation = sums.epoch if finite else Totals(math.nan, math.nan, 1)

    # -- state -------------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the exact position to Lightning's checkpoint, in plain containers."""
        checkpoint["bmx"] = {
            "position": self.position.state_dict(),
            "steps_done": self.steps_done,
            "sums": self.sums.state_dict(),
            "epoch_row": dict(self.epoch_row),
            "plateau": self.plateau.state_dict() if self.plateau is not None else None,
            **self.surroundings(),
        }
        checkpoint["epoch"], checkpoint["global_step"] = self.position.epoch, self.steps_done
        set_loop_position(checkpoint["loops"]["fit_loop"], self.position.epoch, self._blocks_done(), self.steps_done)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["bmx"]
        self.position.load_state_dict(state["position"])
        self.steps_done = int(state["steps_done"])
        self.sums.load_state_dict(state["sums"])
        self.epoch_row = dict(state["epoch_row"])
        self._plateau_state = state["plateau"]

    def _blocks_done(self) -> int:
        blocks = self.trainer.train_dataloader
        return blocks.blocks_done if isinstance(blocks, StepBlocks) else 0

    def keep_configured_rates(self) -> None:
        """Lets the configuration win over the hyperparameters that came back with the optimiser's state.

        What the schedule sets in every step stays as the last step had it.
        """
        scheduled = set() if self._fixed_lr else {"lr"}
        if isinstance(self.schedule, OneCycle):
            scheduled |= {"betas", "momentum"}
        for group, configured in zip(self._optimizer.param_groups, self._configured_groups, strict=True):
            group.update({name: value for name, value in configured.items() if name not in scheduled})


def set_loop_position(fit_loop: dict[str, Any], epoch: int, blocks: int, steps: int) -> None:
    """Rewrites the progress counters in the state of Lightning's fit loop.

    Lightning restarts differently according to the hook a checkpoint was written in. Counters that say "epoch
    ``epoch`` has not begun, ``blocks`` of its blocks are done" make every checkpoint look the same.
    """
    for key, value in fit_loop.items():
        if key == "epoch_progress":
            _set_counters(value, epoch)
        elif key == "epoch_loop.batch_progress":
            _set_counters(value, blocks)
            value["is_last_batch"] = False
        elif key == "epoch_loop.manual_optimization.optim_step_progress":
            _set_counters(value, steps)


def _set_counters(progress: dict[str, Any], count: int) -> None:
    for span in ("total", "current"):
        for name in progress[span]:
            progress[span][name] = count
