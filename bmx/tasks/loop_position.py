"""Lightning's progress counters, written so that every checkpoint looks the same to it."""

from __future__ import annotations

from typing import Any


def set_loop_position(fit_loop: dict[str, Any], epoch: int, blocks: int, steps: int) -> None:
    """Rewrites the counters in the state of Lightning's fit loop.

    Lightning restarts differently according to the hook a checkpoint was written in. Counters that say "epoch
    ``epoch`` has not begun, ``blocks`` of its blocks are done" leave it only one way.
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
