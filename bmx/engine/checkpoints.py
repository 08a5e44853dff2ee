"""Checkpoint callback: last.ckpt for resuming a run, best.ckpt with the model for use."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.trainer import call
from torch import Tensor

from bmx.engine.selection import Selection
from bmx.engine.signals import StopRequest
from bmx.errors import Interrupted, UsageError
from bmx.tasks.fit import FitTask

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"

_SECONDS = {"s": 1, "sec": 1, "min": 60, "h": 3600}


@dataclass(frozen=True)
class Every:
    """Checkpoint interval within an epoch; at the end of an epoch a run is always saved.

    Args:
        steps: optimiser steps between two checkpoints, or None.
        seconds: time between two checkpoints, or None.
    """

    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, value: int | str | None) -> Every:
        """Reads ``500`` (steps), ``10min``, ``30s``, ``1h`` or null."""
        if value is None:
            return cls()
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return cls(steps=value)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|sec|min|h)", str(value))
        if not match or float(match[1]) <= 0:
            raise UsageError(
                f"checkpoint.every must be a number of steps or a time, got {value!r}",
                f"checkpoint.every={value}",
                "write checkpoint.every=500 (steps), 30s, 10min or 1h",
            )
        return cls(seconds=float(match[1]) * _SECONDS[match[2]])


# Writes a model file, from its path, the task at that epoch, and the weights.
SaveBest = Callable[[Path, FitTask, dict[str, Tensor]], None]


class Checkpoints(Checkpoint):
    """Saves the best model and the state of the run, and stops the run on patience or a signal.

    ``last.ckpt`` is replaced atomically, after its predecessor was renamed to ``previous.ckpt``: at every instant one
    complete checkpoint exists.

    Args:
        folder: ``<run>/checkpoints``.
        selection: decides which epoch is best.
        save_best: writes the model file.
        every: when to save within an epoch.
        stop: the request to stop, from a signal.
        end_epoch: called when an epoch is finished, before it is saved.
        on_epoch: called when an epoch is finished and saved, with the task and whether it is the best.
    """

    def __init__(
        self,
        folder: Path,
        selection: Selection,
        save_best: SaveBest,
        every: Every,
        stop: StopRequest,
        end_epoch: Callable[[], None],
        on_epoch: Callable[[FitTask, bool], None],
    ) -> None:
        self.folder = folder
        self.selection = selection
        self.save_best = save_best
        self.every = every
        self.stop = stop
        self.end_epoch = end_epoch
        self.on_epoch = on_epoch
        self._saved_at = time.monotonic()

    @property
    def state_key(self) -> str:
        return "bmx.checkpoints"

    def state_dict(self) -> dict[str, Any]:
        return self.selection.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.selection.load_state_dict(state_dict)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, FitTask)
        self._wake(pl_module)
        self._saved_at = time.monotonic()
        if self.selection.exhausted:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, FitTask)
        self.end_epoch()
        tuning = pl_module.tuning
        best = (tuning is None or tuning.settled) and self.selection.update(pl_module.epoch_row)
        if best and trainer.is_global_zero:
            self.save_best(self.folder / BEST, pl_module, _weights(trainer, pl_module))
        if self.selection.exhausted:
            trainer.should_stop = True
        if pl_module.observed:
            _write_logged(trainer)
        self.save_last(trainer)
        self._wake(pl_module)
        self.on_epoch(pl_module, best)
        self._stop_if_asked()

    def on_pulse(self, task: FitTask) -> None:
        """Saves between two steps, if the interval has passed."""
        due = self.every.seconds is not None and time.monotonic() - self._saved_at >= self.every.seconds
        if self.every.steps is not None and task.steps_done >= task.wake_at:
            self._wake(task)
            due = True
        # Before the first step of an epoch there is nothing to add to the checkpoint of the epoch before.
        if (due or self.stop.reason is not None) and task.position.step:
            self.save_last(task.trainer)
        self._stop_if_asked()

    def _wake(self, task: FitTask) -> None:
        if self.every.steps is not None:
            task.wake_at = (task.steps_done // self.every.steps + 1) * self.every.steps

    def _stop_if_asked(self) -> None:
        if self.stop.reason is not None:
            raise Interrupted(self.stop.reason)

    def save_last(self, trainer: pl.Trainer) -> None:
        """Writes last.ckpt; its predecessor stays as previous.ckpt."""
        if not trainer.is_global_zero:
            return  # of several ranks one writes; the others decide alike, by the same numbers
        last, previous = self.folder / LAST, self.folder / PREVIOUS
        if last.exists():
            spare = self.folder / f".{PREVIOUS}.{os.getpid()}.tmp"
            spare.unlink(missing_ok=True)
            try:
                spare.hardlink_to(last)
            except OSError:  # a file system without hard links
                shutil.copyfile(last, spare)
            spare.replace(previous)
        if trainer.world_size == 1:
            trainer.save_checkpoint(last, weights_only=False)
        else:
            # Without the barrier of save_checkpoint: rank 0 saves when it has to, and has all that there is.
            trainer.strategy.save_checkpoint(trainer._checkpoint_connector.dump_checkpoint(False), last)
        self._saved_at = time.monotonic()


def _write_logged(trainer: pl.Trainer) -> None:
    """Writes what callbacks logged in the epoch, as Lightning would after the hooks: before the rows are counted."""
    connector, loop = trainer._logger_connector, trainer.fit_loop.epoch_loop
    connector.on_epoch_end()
    loop._batches_that_stepped -= 1
    connector.update_train_epoch_metrics()
    loop._batches_that_stepped += 1


def _weights(trainer: pl.Trainer, task: FitTask) -> dict[str, Tensor]:
    """The weights that the epoch's metrics belong to: those that were validated, whatever they are now.

    Without validation they are those of a checkpoint, where a weight-averaging callback puts its average.
    """
    if task.validated is not None:
        return task.validated
    weights: dict[str, Tensor] = task.state_dict()
    if task.observed:
        content: dict[str, Any] = {"state_dict": weights}
        call._call_callbacks_on_save_checkpoint(trainer, content)
        weights = content["state_dict"]
    return weights
