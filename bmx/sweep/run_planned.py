"""Runs a sweep planned by ``plan_sweep`` and sets the exit codes of its jobs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from bmx.config.invocation import current
from bmx.sweep.planning import SEARCH, plain


def sweep(config: DictConfig, launcher: Any) -> Any:
    """Runs the planned sweep through a launcher; returns the sweep's result."""
    invocation = current()
    if invocation is None or invocation.plan is None:
        raise RuntimeError("bmx's sweepers are for bmx's verbs: run `bmx sweep`, or choose hydra/sweeper=basic")
    settings = plain(config.hydra.sweeper)
    plan, where = invocation.plan, Path(str(config.hydra.sweep.dir)).resolve()
    if settings["_target_"] == SEARCH:
        from bmx.sweep.search.loop import run_search

        result, failed = run_search(plan, where, launcher, settings)
    else:
        from bmx.sweep.run_jobs import run_grid

        result, failed = run_grid(plan, where, launcher, bool(settings.get("reuse")))
    # Jobs that ran in this process have reported already; these are all of them.
    invocation.failed[:] = [_shown(Path(run)) for run in failed]
    done = sum(int((result.get("jobs") or {}).get(state) or 0) for state in ("done", "pruned"))
    invocation.codes[:] = [0] * done + [1] * len(failed)
    if result["status"] == "interrupted":
        raise KeyboardInterrupt
    return result


def _shown(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
