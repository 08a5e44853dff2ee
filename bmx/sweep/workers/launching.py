"""Creates a pool from the settings of a launcher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from bmx.errors import UsageError, did_you_mean
from bmx.sweep import job_status
from bmx.sweep.plan import Plan
from bmx.sweep.workers import latency
from bmx.sweep.workers.duration import seconds
from bmx.sweep.workers.pool import RUN, Pool, anything
from bmx.sweep.workers.processes import Later
from bmx.sweep.workers.protocols import Rules
from bmx.sweep.workers.resources import Slot, slots

_ON_ERROR = ("continue", "stop")


def rules(options: dict[str, Any]) -> Rules:
    """The rules for jobs that fail, from a launcher's settings.

    Raises:
        UsageError: an invalid value.
    """
    on_error, retries = options["on_error"], options["retries"]
    if on_error not in _ON_ERROR:
        raise UsageError(f"no on_error '{on_error}'", f"on_error={on_error}", did_you_mean(str(on_error), _ON_ERROR))
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise UsageError(
            f"retries must be a whole number, 0 or more, not {retries!r}", f"retries={retries}", "retries=1"
        )
    if options["fork"] not in (True, False, "auto"):
        raise UsageError(f"fork must be true, false or auto, not {options['fork']!r}", "fork", "leave it out")
    return Rules(on_error == "stop", seconds(options["timeout"], "timeout"), retries)


def is_over(plan: Plan, sweep: Path) -> bool:
    """Whether every job of a grid is done, so that there is nothing to run and nothing to check."""
    complete = latency.known if _timed(plan) else anything
    ends = (job_status.read(job.run_dir(sweep)) for job in plan.jobs)
    return all(end.state == "done" and complete(end) for end in ends)


def _timed(plan: Plan) -> bool:
    return any(objective.name == "cost/latency" for objective in (*plan.objectives, *plan.bounds))


def places(options: dict[str, Any], config: DictConfig) -> list[Slot]:
    """Slots for jobs of a configuration.

    Raises:
        UsageError: ``jobs`` is not a number of jobs.
    """
    devices = config.get("devices") or 1
    ranks = devices if isinstance(devices, int) else 1
    return slots(options["jobs"], int(options["jobs_per_gpu"]), str(config.get("device") or "auto"), ranks)


def make_pool(plan: Plan, sweep: Path, options: dict[str, Any], config: DictConfig) -> Pool:
    """Creates the pool for a plan's jobs.

    Args:
        plan: the planned sweep.
        sweep: the sweep's directory.
        options: the keys of ``conf/hydra/launcher/bmx.yaml``.
        config: what the jobs have in common.
    """
    starter = Later(lambda: plan.starter(options["fork"]))
    call, complete = (latency.CALL, latency.known) if _timed(plan) else (RUN, anything)
    return Pool(sweep, starter, places(options, config), rules(options), plan.arguments, plan.resumes, call, complete)
