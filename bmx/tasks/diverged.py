"""The error of a training whose loss is not a finite number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bmx.errors import RunFailed

if TYPE_CHECKING:
    from bmx.tasks.fit import FitTask


def diverged(task: FitTask, steps_after: int) -> RunFailed:
    """Names the step whose loss was not finite, and what may help.

    Args:
        task: the fit.
        steps_after: steps that were made since.
    """
    if task.steps_done - steps_after == 1:
        return RunFailed(
            "the loss of the very first step is not a finite number, so no step size is the reason",
            "training",
            "look at what the model computes (a logarithm or a root of 0, a division by 0), at init_from= and "
            "at the precision: precision=32-true",
        )
    lr, warmup = task.rates.lr, "" if task.rates.torch is not None else ", scheduler.warmup=1"
    return RunFailed(
        f"the loss is no longer a finite number (epoch {task.position.epoch + 1}, "
        f"step {task.position.step - steps_after}, lr {lr:g})",
        "training",
        f"try a smaller step (lr={lr / 10:g}), trainer.clip_norm=1{warmup} or precision=32-true; "
        "the last checkpoint is from before the failure",
    )
