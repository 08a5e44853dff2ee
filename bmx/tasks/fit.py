"""The LightningModule that trains any model of bmx: several optimiser steps in one ``training_step``.

Lightning costs a few hundred microseconds per batch, ``self.log`` as much again. Here Lightning sees one batch per
block of steps (see :mod:`bmx.tasks.blocks`), sums stay on the device until a row is written, and whatever has to
happen between steps is asked for by a pulse that is nearly free when nothing is due. Callbacks of a user's own are
called as Lightning documents it: then every batch is a ``training_step``.
"""

from __future__ import annotations

import copy
import logging
import math
import sys
import time
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import pytorch_lightning as pl
from torch import Tensor, nn
from torch.optim import Optimizer

from bmx.compression.method import Tuning
from bmx.data.pipeline.batches import BatchOrder, Position
from bmx.data.pipeline.loading import Batch
from bmx.data.pipeline.output_stage import OutputStage
from bmx.distributed.shared_steps import BatchLoss, SharedSteps
from bmx.optim.schedules import Schedule, Timeline
from bmx.tasks import fit_state
from bmx.tasks.blocks import Block, batches_of
from bmx.tasks.callback_metrics import by_every_name, step_metrics
from bmx.tasks.diverged import diverged
from bmx.tasks.learning_rate import Rates
from bmx.tasks.losses import TaskObjective
from bmx.tasks.optimizer_step import FitSettings, StepHooks, TrainStep
from bmx.tasks.running_metrics import RunningSums, Totals

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
        output_stage: turns what the net gives into the units of the targets, which loss and score are told in.
    """

    def __init__(
        self,
        net: nn.Module,
        input_stage: nn.Module,
        objective: TaskObjective,
        make_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        schedule: Schedule,
        timeline: Timeline,
        position: Position,
        settings: FitSettings,
        tuning: Tuning | None = None,
        augment: Callable[[Tensor], Tensor] | None = None,
        order: BatchOrder | None = None,
        output_stage: OutputStage | None = None,
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
        self.output_stage = output_stage or OutputStage()
        # Asked in every step: looking into a module takes a while.
        self.standardises = self.output_stage.scale is not None
        self._make_optimizer = make_optimizer
        # Of several processes of a run, what this one computes of each step; the engine says so.
        self.shared: SharedSteps | None = None
        self.sums = RunningSums()
        self.validation = Totals()
        self._validation_sums = RunningSums()
        self.steps_done = 0
        self.epoch_row: Row = {}
        # Whether callbacks of the user's are there, and which of them are called within a step.
        self.observed = False
        self.step_hooks: StepHooks | None = None
        # The weights that were validated last; kept where a callback may put others in their place right after.
        self.validated: dict[str, Tensor] | None = None
        # Called between steps when its time has come; the engine puts display, checkpoints and signals here.
        self.pulse: Callable[[FitTask], None] = lambda task: None
        self.pulse_now = False
        # A pulse comes after this many steps of the run at the latest.
        self.wake_at = sys.maxsize
        # Called once, right before the first step: the engine restores the random state of a resumed run here.
        self.before_first_step: Callable[[], None] | None = None
        # What a checkpoint holds besides weights, optimiser and progress: configuration, random state, rows written.
        self.surroundings: Callable[[], dict[str, Any]] = dict
        self.rates_state: dict[str, Any] | None = None
        self.write_row: Callable[[Row], None] = lambda row: None

    # -- optimiser ---------------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> Optimizer:
        optimizer = self._make_optimizer(self.trained_parameters())
        self.rates = Rates(optimizer, self.schedule, self.timeline)
        self.rates.load_state_dict(self.rates_state)
        return optimizer

    def trained_parameters(self) -> Iterable[nn.Parameter]:
        """What the optimiser steps."""
        beside = self.beside.parameters() if self.beside is not None else ()
        return (p for p in chain(self.net.parameters(), beside) if p.requires_grad)

    @property
    def beside(self) -> nn.Module | None:
        """What is trained together with the net and is no part of it."""
        return None

    def __deepcopy__(self, memo: dict[int, Any]) -> FitTask:
        """A copy of what has weights; the rest is shared. Callbacks that average weights take one."""
        copied = nn.Module.__new__(type(self))
        memo[id(self)] = copied
        own = {"_parameters", "_buffers", "_modules"}
        for name, value in self.__getstate__().items():
            copied.__dict__[name] = copy.deepcopy(value, memo) if name in own else value
        return copied

    def forward(self, inputs: Tensor) -> Tensor:
        """The net's outputs for raw inputs, as a batch has them."""
        outputs: Tensor = self.net(self.input_stage(inputs))
        return outputs

    # -- training ----------------------------------------------------------------------------------------------------

    def on_train_start(self) -> None:
        # Without whole blocks behind it an epoch begins like any other; see set_loop_position.
        self.trainer.fit_loop.restarting = fit_state.blocks_done(self) > 0
        # What Lightning gives as the step of the rows that callbacks log; it counts blocks.
        self.trainer.fit_loop.epoch_loop._batches_that_stepped = self.steps_done
        plugin = self.trainer.precision_plugin
        autocast = "mixed" in str(self.trainer.precision)
        scaler = getattr(plugin, "scaler", None)
        # Lightning's strategy arms the reducer of the gradients, which it does by itself once per block only.
        before = self.trainer.strategy.pre_backward if self.shared is not None else None
        self.train_step = TrainStep(
            self.rates.optimizer, self.net, self.settings, scaler, autocast, self.step_hooks, before
        )
        self.sums.reduce = self.shared.ranks.reduced if self.shared is not None else None

    def begin(self) -> None:
        """Called before the first step of an epoch or of a batch that callbacks are told of.

        From here on random numbers are those of the run, and the optimiser has the rate of the step that comes next.
        """
        if self.before_first_step is not None:
            self.before_first_step()
            self.before_first_step = None
        self._set_rate()

    def _set_rate(self) -> None:
        # At an epoch's end, before its validation, the rate is still that of its last step.
        if not self.rates.fixed and self.position.step < self.timeline.steps_per_epoch:
            self.rates.set(self.position.epoch * self.timeline.steps_per_epoch + self.position.step)

    def training_step(self, block: Block | Batch, block_index: int) -> dict[str, Tensor] | None:
        """Makes an optimiser step for every batch of the block; of a single batch, gives the loss."""
        self.begin()
        position, log_every, clock = self.position, self.settings.log_every, time.perf_counter
        tuning, total = self.tuning, self.timeline.steps_per_epoch * self.timeline.epochs
        unit, due = self.output_stage.loss_unit, clock() + PULSE_SECONDS
        single = isinstance(block, tuple | list)
        for inputs, targets in batches_of(block):
            self._set_rate()
            batch_loss: BatchLoss = self.batch_loss
            samples = len(targets)
            if self.shared is not None:
                batch_loss, samples = self.shared.part(batch_loss, position.step, self.steps_done, self.device)
            loss, score = self.train_step.step(batch_loss, inputs, targets)
            self.sums.add(loss * unit if self.standardises else loss, score, samples)
            position.step += 1
            self.steps_done += 1
            if tuning is not None:
                tuning.after_step(self.steps_done, total)
            if position.step % log_every == 0:
                self._window_row()
            if self.pulse_is_due if self.shared is not None else not single and (clock() >= due or self.pulse_is_due):
                self.sync()
                self.pulse(self)
                due = clock() + PULSE_SECONDS
        if not single or position.step == self.timeline.steps_per_epoch:
            self.sync()
            self._publish("train", self.sums.epoch)
        if not single:
            return None
        self._tell_steps()
        if position.step < self.timeline.steps_per_epoch:
            self.trainer.callback_metrics.update(step_metrics("train", self.objective, loss, score, targets))
        return {"loss": loss}

    @property
    def pulse_is_due(self) -> bool:
        """Whether a pulse may not wait for the clock; of several ranks the same steps on each."""
        if self.shared is not None:
            return self.shared.compare(self.steps_done) or self.steps_done >= self.wake_at
        return self.pulse_now or self.steps_done >= self.wake_at

    def batch_loss(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss of a raw batch, to be differentiated, and its detached score sum."""
        if self.augment is not None:
            inputs = self.augment(inputs)
        outputs = self.net(self.input_stage(inputs))
        return self.own_loss(outputs, targets), self.own_score(outputs, targets)

    def own_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of what the net gives; of regression for standardised targets."""
        return self.objective.loss(outputs, self.output_stage.standardised(targets) if self.standardises else targets)

    def own_score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The detached score sum of what the net gives, in the units of the targets."""
        outputs = outputs.detach()
        return self.objective.score_sum(self.output_stage(outputs.float()) if self.standardises else outputs, targets)

    def sync(self) -> None:
        """Reads the pending sums and tells Lightning how many steps were made.

        Raises:
            RunFailed: a loss was not finite.
        """
        steps_after = self.sums.flush()
        if steps_after is not None:
            raise diverged(self, steps_after)
        self._tell_steps()

    def _tell_steps(self) -> None:
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        progress.total.completed = progress.total.ready = self.steps_done

    def _publish(self, prefix: str, totals: Totals) -> None:
        """Puts loss and score of an epoch where callbacks look for them."""
        if self.observed:
            found = by_every_name(self._named(prefix, totals))
            self.trainer.callback_metrics.update(found)
            self.trainer.logged_metrics.update(found)

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
        return {f"{prefix}/loss": totals.mean_loss, f"{prefix}/{self.objective.scored.name}": score}

    def on_train_epoch_end(self) -> None:
        # A callback may have ended the epoch before its last step.
        self.sync()
        self.trainer.fit_loop.epoch_loop._batches_that_stepped = self.steps_done
        row: Row = {"row": "epoch", "epoch": self.position.epoch + 1, "step": self.steps_done, "lr": self.rates.lr}
        row |= self._named("train", self.sums.epoch) | self._named("val", self.validation)
        self.write_row(row)
        self.epoch_row = row
        self.rates.end_epoch(row)
        self.position.epoch, self.position.step = self.position.epoch + 1, 0
        self.sums = RunningSums(reduce=self.sums.reduce)

    # -- validation --------------------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        self.validation = Totals()
        self._validation_sums = RunningSums()

    def validation_step(self, block: Block | Batch, block_index: int) -> dict[str, Tensor] | None:
        """Adds up loss and score of every batch of the block; of a single batch, gives the loss."""
        sums, loss, unit = self._validation_sums, None, self.output_stage.loss_unit
        for inputs, targets in batches_of(block):
            outputs = self.net(self.input_stage(inputs))
            loss = self.own_loss(outputs, targets)
            loss = loss * unit if self.standardises else loss
            sums.add(loss, self.own_score(outputs, targets), len(targets))
        if self.shared is not None:
            sums.gather(self.shared.ranks, self.shared.validation_batches, self.device)
        finite = sums.flush() is None and not math.isnan(self.validation.loss)
        self.validation = sums.epoch if finite else Totals(math.nan, math.nan, 1)
        self._publish("val", self.validation)
        if self.observed and self.trainer.fit_loop.epoch_loop.val_loop.batch_progress.is_last_batch:
            # A callback may take an average out again and put back what is trained, before anything is saved.
            self.validated = {name: tensor.detach().clone() for name, tensor in self.state_dict().items()}
        return {"loss": loss} if isinstance(block, tuple | list) and loss is not None else None

    # -- state -------------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        fit_state.save(self, checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        fit_state.load(self, checkpoint)
