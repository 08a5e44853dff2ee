"""Lightning callback that times a run and updates its display between steps."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from bmx.engine.checkpoints import Checkpoints
from bmx.engine.display import Display
from bmx.tasks.blocks import StepBlocks
from bmx.tasks.fit import PULSE_SECONDS, FitTask

log = logging.getLogger("bmx.train")


class Watch(Callback):
    """Times the run and each of its epochs, and shows the progress.

    Times are stored in checkpoints: the time of a resumed run is the sum over its processes, without lost work and
    idle time between them.

    Args:
        display: where progress is shown.

    Attributes:
        began: when this process started the run, by ``time.perf_counter``.
        epoch_seconds: seconds of each finished epoch, validation included.
    """

    def __init__(self, display: Display) -> None:
        self.display = display
        self.checkpoints: Checkpoints | None = None
        self.began = time.perf_counter()
        self.epoch_seconds: list[float] = []
        self._epoch_began = self.began
        # Of the run and of its current epoch, in earlier processes.
        self._before, self._epoch_before = 0.0, 0.0
        # Whether Lightning iterates single batches, when the next pulse is due, and the callbacks to skip for a batch.
        self._single, self._due = False, self.began
        self._hidden: list[Callback] | None = None

    @property
    def seconds(self) -> float:
        """Seconds that the run has taken so far."""
        return self._before + time.perf_counter() - self.began

    @property
    def state_key(self) -> str:
        return "bmx.watch"

    def state_dict(self) -> dict[str, Any]:
        spent = self._epoch_before + time.perf_counter() - self._epoch_began
        return {"epoch_seconds": list(self.epoch_seconds), "spent": spent, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epoch_seconds, self._epoch_before = list(state_dict["epoch_seconds"]), float(state_dict["spent"])
        self._before = float(state_dict["seconds"])

    # This is the first of the callbacks: what a run needs is in place before a user's callback is called.

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, FitTask)
        self._epoch_began = time.perf_counter()
        self._due = self._epoch_began + PULSE_SECONDS
        blocks = trainer.train_dataloader
        assert isinstance(blocks, StepBlocks)
        self._single = blocks.single
        if self._single and blocks.epoch_is_over:
            # Only the validation of the epoch is left; there is no batch to call hooks for.
            self._hidden = list(vars(trainer)["callbacks"])
            vars(trainer)["callbacks"] = [self]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, FitTask)
        self._epoch_began = time.perf_counter()
        pl_module.begin()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, FitTask)
        if self._single and (pl_module.pulse_is_due or time.perf_counter() >= self._due):
            # Every callback has finished with the step before.
            pl_module.sync()
            pl_module.pulse(pl_module)
            self._due = time.perf_counter() + PULSE_SECONDS
        pl_module.begin()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._hidden is not None:
            vars(trainer)["callbacks"], self._hidden = self._hidden, None

    def on_pulse(self, task: FitTask) -> None:
        """Called between two steps, a few times a second."""
        loss = task.sums.window.mean_loss if task.sums.window.n else task.sums.epoch.mean_loss
        self.display.step(task.position.epoch, task.position.step, loss)
        if self.checkpoints is not None:
            self.checkpoints.on_pulse(task)

    def end_epoch(self) -> None:
        """Called when an epoch is finished, before it is saved."""
        now = time.perf_counter()
        self.epoch_seconds.append(self._epoch_before + now - self._epoch_began)
        self._epoch_before, self._epoch_began = 0.0, now

    def on_epoch(self, task: FitTask, best: bool) -> None:
        """Called when an epoch is finished and saved."""
        row, seconds = task.epoch_row, self.epoch_seconds[-1]
        log.info("epoch %s done in %.2f s: %s", row["epoch"], seconds, {k: v for k, v in row.items() if "/" in k})
        self.display.epoch(row, seconds, best)
