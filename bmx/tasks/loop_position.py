"""Rewrites Lightning's progress counters, so that every checkpoint resumes in the same way."""

from __future__ import annotations

from typing import Any


def set_loop_position(fit_loop: dict[str, Any], epoch: int, blocks: int, before: int, steps: int) -> None:
    """Rewrites the counters in the state of Lightning's fit loop.

    Lightning restarts differently according to the hook a checkpoint was written in. With counters for "``blocks`` of
    the blocks of epoch ``epoch`` are done" there is only one way.

    Args:
        fit_loop: the state.
        epoch: epochs that are done.
        blocks: of the epoch that are done.
        before: blocks of all epochs that are done.
        steps: optimiser steps of all epochs that are made.
    """
    for key, value in fit_loop.items():
        if key == "epoch_progress":
            _set_counters(value, epoch, epoch)
        elif key == "epoch_loop.batch_progress":
            _set_counters(value, before, blocks)
            value["is_last_batch"] = False
        elif key == "epoch_loop.manual_optimization.optim_step_progress":
            _set_counters(value, steps, steps)


def set_epoch_begun(fit_loop: dict[str, Any], epoch: int) -> None:
    """Marks the hooks at the start of epoch ``epoch`` (from 0) as called."""
    progress = fit_loop["epoch_progress"]
    for span in ("total", "current"):
        progress[span]["ready"] = progress[span]["started"] = epoch + 1


def _set_counters(progress: dict[str, Any], total: int, current: int) -> None:
    for span, count in (("total", total), ("current", current)):
        for name in progress[span]:
            progress[span][name] = count
