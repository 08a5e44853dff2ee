"""Looks after a run between its steps: display, clocks, checkpoints."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from bmx.engine.checkpoints import Checkpoints
from bmx.engine.display import Display
from bmx.tasks.fit import FitTask

log = logging.getLogger("bmx.train")


class Watch(Callback):
    """Times every epoch and shows how far the run is.

    Args:
        display: where progress is shown.
    """

    def __init__(self, display: Display) -> None:
        self.display = display
        self.checkpoints: Checkpoints | None = None
        self.epoch_seconds: list[float] = []
        self._spent = 0.0
        self._began = time.perf_counter()

    @property
    def state_key(self) -> str:
        return "bmx.watch"

    def state_dict(self) -> dict[str, Any]:
        return {"epoch_seconds": list(self.epoch_seconds), "spent": self._spent + time.perf_counter() - self._began}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epoch_seconds, self._spent = list(state_dict["epoch_seconds"]), float(state_dict["spent"])

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._began = time.perf_counter()

    def on_pulse(self, task: FitTask) -> None:
        """Called between two steps, a few times a second."""
        loss = task.sums.window.mean_loss if task.sums.window.n else task.sums.epoch.mean_loss
        self.display.step(task.position.epoch, task.position.step, loss)
        if self.checkpoints is not None:
            self.checkpoints.on_pulse(task)

    def on_epoch(self, task: FitTask, best: bool) -> None:
        """Called when an epoch is finished and saved."""
        seconds = self._spent + time.perf_counter() - self._began
        self.epoch_seconds.append(seconds)
        self._spent = 0.0
        self._began = time.perf_counter()
        row = task.epoch_row
        log.info("epoch %s done in %.2f s: %s", row["epoch"], seconds, {k: v for k, v in row.items() if "/" in k})
        self.display.epoch(row, seconds, best)
