"""The state of a fit in its checkpoint: the exact position, the sums of the epoch, the learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bmx.tasks.blocks import StepBlocks
from bmx.tasks.loop_position import set_epoch_begun, set_loop_position

if TYPE_CHECKING:
    from bmx.tasks.fit import FitTask


def save(task: FitTask, checkpoint: dict[str, Any]) -> None:
    """Adds the exact position to Lightning's checkpoint, in plain containers."""
    checkpoint["bmx"] = {
        "position": task.position.state_dict(),
        "steps_done": task.steps_done,
        "sums": task.sums.state_dict(),
        "epoch_row": dict(task.epoch_row),
        "rates": task.rates.state_dict(),
        "tuning": task.tuning.state_dict() if task.tuning is not None else None,
        **task.surroundings(),
    }
    checkpoint["epoch"], checkpoint["global_step"] = task.position.epoch, task.steps_done
    loops, epoch, blocks = checkpoint["loops"]["fit_loop"], task.position.epoch, blocks_done(task)
    loader = task.trainer.train_dataloader
    an_epoch = len(loader) if isinstance(loader, StepBlocks) else 1
    set_loop_position(loops, epoch, blocks, epoch * an_epoch + blocks, task.steps_done)
    if task.position.step:
        set_epoch_begun(loops, epoch)


def load(task: FitTask, checkpoint: dict[str, Any]) -> None:
    """Takes the position, the sums and the rates back out of a checkpoint."""
    checkpoint["state_dict"] = task.output_stage.completed(checkpoint["state_dict"])
    state = checkpoint["bmx"]
    task.position.load_state_dict(state["position"])
    task.steps_done = int(state["steps_done"])
    task.sums.load_state_dict(state["sums"])
    task.epoch_row = dict(state["epoch_row"])
    task.rates_state = state["rates"]
    if task.tuning is not None:
        task.tuning.load_state_dict(state["tuning"])


def blocks_done(task: FitTask) -> int:
    """Whole blocks of this epoch that are behind the fit."""
    loader = task.trainer.train_dataloader
    return loader.blocks_done if isinstance(loader, StepBlocks) else 0
