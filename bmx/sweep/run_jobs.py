"""Runs a planned sweep in bmx's own process pool or through another Hydra launcher."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from bmx.runs import result as results
from bmx.sweep import directory, job_status, reuse
from bmx.sweep.job import JOBS, Job
from bmx.sweep.job_status import JobState
from bmx.sweep.leaderboard.finish import conclude, gather
from bmx.sweep.plan import Plan
from bmx.sweep.progress import Progress, choose
from bmx.sweep.workers import locks
from bmx.sweep.workers.pool import Pool
from bmx.sweep.workers.protocols import JobSource

log = logging.getLogger("bmx.sweep")


UNDONE = ("failed", "refused", "half")
"""States of a job that make a sweep, unless it was interrupted, a failed one."""


class Runs(Protocol):
    """The interface of a bmx launcher that a sweep uses."""

    def pool(self, plan: Plan, sweep: Path) -> Pool: ...


class Others(Protocol):
    """The interface of every Hydra launcher."""

    def launch(self, job_overrides: Any, initial_job_idx: int) -> Any: ...


class Grid:
    """A job source with a fixed list of jobs.

    Args:
        jobs: in execution order.
    """

    def __init__(self, jobs: list[Job]) -> None:
        self._left = deque(jobs)

    def next(self) -> Job | None:
        return self._left.popleft() if self._left else None

    def finished(self, job: Job, end: JobState) -> None:
        """The result is in the job's directory."""

    def hopeless(self, job: Job, rows: list[dict[str, Any]]) -> bool:
        return False

    def exhausted(self) -> bool:
        return not self._left


def run_grid(plan: Plan, sweep: Path, launcher: Any, take_over: bool) -> tuple[dict[str, Any], list[str]]:
    """Runs every job of a grid that is missing or interrupted, and writes the sweep's result.

    Args:
        plan: the planned sweep; its ``jobs`` are known.
        sweep: the sweep's directory.
        launcher: bmx's own or any other Hydra launcher.
        take_over: reuse results that an earlier sweep has made with the same code.

    Returns:
        The sweep's result, and the directories of the jobs that failed.
    """
    taken = sum(reuse.take_over(sweep, plan.outputs, job.key) for job in plan.jobs) if take_over else 0
    interrupted = ""
    with recorded(plan, sweep):
        stand = [job_status.read(job.run_dir(sweep)).state for job in plan.jobs]
        for line in opening(plan, sweep, stand, taken):
            print(line, flush=True)
        if hasattr(launcher, "pool"):
            interrupted = run_pool(launcher.pool(plan, sweep), Grid(plan.jobs), plan, sweep, len(plan.jobs))
        else:
            left = [job for job, state in zip(plan.jobs, stand, strict=True) if state != "done"]
            run_elsewhere(launcher, left, sweep)
        ended = gather(plan, sweep, plan.jobs)
        finished = conclude(plan, sweep, ended, interrupted)
    return finished, failures(ended)


def failures(ended: list[tuple[Job, Path, JobState]]) -> list[str]:
    """The directories of the jobs that failed."""
    return [str(run) for _, run, end in ended if end.state in UNDONE]


def run_pool(pool: Pool, source: JobSource, plan: Plan, sweep: Path, total: int | None) -> str:
    """Runs a source of jobs in bmx's pool; returns why it was interrupted, empty if it was not."""
    forgiving = plan.space is not None
    progress: Progress = choose(sweep, plan.objectives, total, len(pool.free), forgiving, plan.bounds)
    progress.start()
    try:
        pool.run(source, progress)
    finally:
        progress.stop()
    if pool.stopped:
        print("stopped: on_error=stop, and a job has failed")
    return pool.interrupted or ""


def run_elsewhere(launcher: Others, jobs: list[Job], sweep: Path, first: int = 0) -> None:
    """Runs jobs through any other Hydra launcher; each checks for itself whether it is done or locked.

    A launcher that fails when one of its workers dies may leave others running: they are waited for. Jobs without a
    result then have failed, and are run by the same command.
    """
    if not jobs:
        return
    for job in jobs:
        run = job.run_dir(sweep)
        if run.is_dir() and not job_status.can_resume(run) and (claim := locks.take(run)) is not None:
            with claim:
                job_status.clear(run)
    words = [[*job.words, f"hydra.sweep.subdir={JOBS}/{job.key}"] for job in jobs]
    try:
        launcher.launch(words, initial_job_idx=first)
    except KeyboardInterrupt:
        raise
    except Exception as error:  # a launcher that fails when a worker dies: finished jobs are retained
        print(f"the launcher has given up: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}")
    for job in jobs:
        run = job.run_dir(sweep)
        with locks.alone(run / locks.CLAIM):
            if job_status.read(run).state in ("missing", "half"):
                job_status.set_failed(run, "its process ended without a result")


def opening(plan: Plan, sweep: Path, stand: Sequence[str], taken: int, what: str = "") -> Iterator[str]:
    """The lines printed before the first job."""
    from bmx.runs.report import numbers
    from bmx.runs.report.ranking import relative

    done = stand.count("done")
    half = sum(state in ("half", "failed", "refused") for state in stand)
    parts = [what or numbers.counted(len(stand), "job")]
    if done:
        parts.append(f"{done} done before" + (f" ({taken} in another sweep)" if taken else ""))
    if half:
        parts.append(f"{half} begun")
    yield f"{relative(sweep)}: {', '.join(parts)}"
    yield from plan.notes


@contextmanager
def recorded(plan: Plan, sweep: Path) -> Iterator[None]:
    """Records that a sweep runs, and if it breaks, that it has."""
    directory.write(sweep, {"identity": plan.identity, "command": plan.command, "verb": plan.verb})
    every = [*plan.flags, *plan.passed_on]
    results.start(sweep, "sweep", sweep.parent.name, command=plan.command, flags=every)
    try:
        yield
    except KeyboardInterrupt:
        results.finish(sweep, "interrupted", "stopped by Ctrl-C")
        raise
    except BaseException as error:
        results.finish(sweep, "failed", str(error) or type(error).__name__)
        raise
