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
from itertools import chain
from typing import Any, cast

import pytorch_lightning as pl
from torch import Tensor, nn
from torch.optim import Optimizer

from bmx.compression.method import Tuning
from bmx.data.batches import BatchOrder, Position
from bmx.errors import RunFailed
from bmx.optim.schedules import Schedule, Timeline
from bmx.tasks.blocks import Block, StepBlocks
from bmx.tasks.loop_position import set_loop_position
from bmx.tasks.objectives import Objective
from bmx.tasks.rates import Rates
from bmx.tasks.stepping import FitSettings, Stepper
from bmx.tasks.sums import RunningSums, Totals

log = logging.getLogger("bmx.train")

# Seconds between two looks at the outside world (display, clock-driven checkpoints) while steps are being made.
PULSE_SECONDS = 0.25

Row = dict[str, float | int | str]


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
        tuning: what has to hold after each step of fine-tuning a compressed net.
        augment: changes raw training batches at random.
        order: which samples make each batch, for a task that has to know.
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
        tuning: Tuning | None = None,
        augment: Callable[[Tensor], Tensor] | None = None,
        order: BatchOrder | None = None,
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
        self.tuning = tuning
        self.augment = augment
        self.order = order
        self._make_optimizer = make_optimizer
        self.sums = RunningSums()
        self.validation = Totals()
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
        self._rates_state: dict[str, Any] | None = None
        self.write_row: Callable[[Row], None] = lambda row: None

    # -- optimiser ---------------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> Optimizer:
        optimizer = self._make_optimizer(self.trained_parameters())
        self.rates = Rates(optimizer, self.schedule, self.timeline)
        self.rates.load_state_dict(self._rates_state)
        return optimizer

    def trained_parameters(self) -> Iterable[nn.Parameter]:
        """What the optimiser steps."""
        beside = self.beside.parameters() if self.beside is not None else ()
        return (p for p in chain(self.net.parameters(), beside) if p.requires_grad)

    @property
    def beside(self) -> nn.Module | None:
        """What is trained together with the net and is no part of it."""
        return None

    # -- training ----------------------------------------------------------------------------------------------------

    def on_train_start(self) -> None:
        # Without whole blocks behind it an epoch begins like any other; see set_loop_position.
        self.trainer.fit_loop.restarting = self._blocks_done() > 0
        plugin = self.trainer.precision_plugin
        autocast = "mixed" in str(self.trainer.precision)
        self.stepper = Stepper(self.rates.optimizer, self.net, self.settings, getattr(plugin, "scaler", None), autocast)

    def training_step(self, block: Block, block_index: int) -> None:
        """Makes an optimiser step for every batch of the block."""
        if self.before_first_step is not None:
            self.before_first_step()
            self.before_first_step = None
        position, rates, log_every, clock = self.position, self.rates, self.settings.log_every, time.perf_counter
        tuning, total = self.tuning, self.timeline.steps_per_epoch * self.timeline.epochs
        due = clock() + PULSE_SECONDS
        for inputs, targets in block:
            if not rates.fixed:
                rates.set(position.epoch * self.timeline.steps_per_epoch + position.step)
            loss, score = self.stepper.step(self.batch_loss, inputs, targets)
            self.sums.add(loss, score, len(targets))
            position.step += 1
            self.steps_done += 1
            if tuning is not None:
                tuning.after_step(self.steps_done, total)
            if position.step % log_every == 0:
                self._window_row()
            if clock() >= due or self.pulse_now or self.steps_done >= self.wake_at:
                self.sync()
                self.pulse(self)
                due = clock() + PULSE_SECONDS
        self.sync()

    def batch_loss(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss of a raw batch, to be differentiated, and its detached score sum."""
        if self.augment is not None:
            inputs = self.augment(inputs)
        outputs = self.net(self.input_stage(inputs))
        return self.objective.loss(outputs, targets), self.objective.score_sum(outputs.detach(), targets)

    def sync(self) -> None:
        """Reads the pending sums and tells Lightning how many steps were made.

        Raises:
            RunFailed: a loss was not finite.
        """
        steps_after = self.sums.flush()
        if steps_after is not None:
            step = self.position.step - steps_after
            raise RunFailed(
                "the loss is no longer a finite number "
                f"(epoch {self.position.epoch + 1}, step {step}, lr {self.rates.lr:g})",
                "training",
                f"try a smaller step (lr={self.rates.lr / 10:g}), trainer.clip_norm=1, scheduler.warmup=1 or "
                "precision=32-true; the last checkpoint is from before the failure",
            )
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        progress.total.completed = progress.total.ready = self.steps_done

    def _window_row(self) -> None:
        self.sync()
        window, steps = self.sums.window, self.timeline.steps_per_epoch
        self.sums.window = Totals()
        row: Row = {"row": "step", "epoch": self.position.epoch + 1, "step": self.steps_done, "lr": self.rates.lr}
        row |= self._named("train", window)
        self.write_row(row)
        log.info(
            "epoch %d  step %d/%d (%.0f %%)  loss %.4f  lr %.4g",
            self.position.epoch + 1,
            self.position.step,
            steps,
            100 * self.position.step / steps,
            window.mean_loss,
            self.rates.lr,
        )

    def _named(self, prefix: str, totals: Totals) -> Row:
        if not totals.n:
            return {}
        score = self.objective.score(totals.score, totals.n)
        return {f"{prefix}/loss": totals.mean_loss, f"{prefix}/{self.objective.score_name}": score}

    def on_train_epoch_end(self) -> None:
        row: Row = {"row": "epoch", "epoch": self.position.epoch + 1, "step": self.steps_done, "lr": self.rates.lr}
        row |= self._named("train", self.sums.epoch) | self._named("val", self.validation)
        self.write_row(row)
        self.epoch_row = row
        self.rates.end_epoch(cast(float, row.get("val/loss", row["train/loss"])))
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
            "rates": self.rates.state_dict(),
            "tuning": self.tuning.state_dict() if self.tuning is not None else None,
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
        self._rates_state = state["rates"]
        if self.tuning is not None:
            self.tuning.load_state_dict(state["tuning"])

    def _blocks_done(self) -> int:
        blocks = self.trainer.train_dataloader
        return blocks.blocks_done if isinstance(blocks, StepBlocks) else 0
