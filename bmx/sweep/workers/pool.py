"""Process pool: runs jobs in processes, one per slot, and records the outcome of each."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bmx.files.lock import HeldFile
from bmx.runs.locking import is_locked
from bmx.runs.metrics_csv import epoch_rows, read_rows
from bmx.sweep import job_status
from bmx.sweep.job import Job
from bmx.sweep.job_status import LOG, JobState
from bmx.sweep.workers import locks
from bmx.sweep.workers.child import Spec
from bmx.sweep.workers.exit_status import judge, orderly
from bmx.sweep.workers.processes import Fresh, Process, Starter
from bmx.sweep.workers.protocols import JobSource, Rules, Watcher
from bmx.sweep.workers.resources import Slot

RUN = "bmx.__main__:main"
"""The function that a job's process calls with its command line."""
_TICK = 0.1
_LOOK = 0.5
"""Seconds between two polls of the metrics of running jobs, and of jobs that another process runs."""
GRACE_SECONDS = 15.0
"""Seconds that a job gets to write its checkpoint when it is stopped."""


@dataclass
class Running:
    """A running job with its process, lock and slot."""

    job: Job
    run: Path
    claim: HeldFile
    process: Process
    slot: Slot
    began: float
    tries: int
    stopping: str = ""
    deadline: float = 0.0
    looked: float = 0.0
    seen: tuple[int, float] = (0, 0.0)
    rows: list[dict[str, Any]] = field(default_factory=list)


def anything(end: JobState) -> bool:
    """Accepts every finished job as complete."""
    return True


class Pool:
    """Runs the jobs of a source until all have ended.

    Args:
        sweep: the sweep's directory.
        starter: starts the processes.
        slots: the resources for concurrent jobs, one slot each.
        rules: for jobs that fail.
        arguments: the command line of a job in its run directory; with ``resume`` it resumes from its checkpoint.
        resumes: whether its verb can resume an interrupted run.
        call: the function that a job's process calls with its command line, ``module:function``.
        complete: whether a finished job has all results that the sweep needs; it is called again if it has not.
    """

    def __init__(
        self,
        sweep: Path,
        starter: Starter,
        slots: list[Slot],
        rules: Rules,
        arguments: Callable[[Job, Path, bool], list[str]],
        resumes: bool = True,
        call: str = RUN,
        complete: Callable[[JobState], bool] = anything,
    ) -> None:
        self.sweep = sweep
        self.starter = starter
        self.free = list(reversed(slots))
        self.rules = rules
        self.arguments = arguments
        self.resumes = resumes
        self.call = call
        self.complete = complete
        self.running: list[Running] = []
        self.elsewhere: list[Job] = []
        self.again: deque[tuple[Job, int]] = deque()
        self.interrupted: str | None = None
        self.stopped = False
        self._looked_elsewhere = 0.0

    def run(self, source: JobSource, watcher: Watcher) -> None:
        """Runs every job of the source; returns when all have ended, or after an interruption."""
        with orderly(self._interrupt):
            while self.interrupted is None:
                self._fill(source, watcher)
                if not self.running and (self.stopped or self._empty(source)):
                    break
                self.starter.wait(_TICK)
                self._after(source, watcher)
                self._look(source, watcher)
                watcher.tick()
            if self.interrupted is not None:
                self._stop_all(source, watcher)

    def _empty(self, source: JobSource) -> bool:
        return not self.again and not self.elsewhere and source.exhausted()

    # -- starting ----------------------------------------------------------------------------------------------------

    def _fill(self, source: JobSource, watcher: Watcher) -> None:
        self._look_elsewhere(source, watcher)
        while self.free and not self.stopped and self.interrupted is None:
            if self.again:
                job, tries = self.again.popleft()
            else:
                found = source.next()
                if found is None:
                    return
                job, tries = found, 0
            if not self._begin(job, tries, source, watcher):
                self.elsewhere.append(job)
                watcher.elsewhere(len(self.elsewhere))

    def _begin(self, job: Job, tries: int, source: JobSource, watcher: Watcher) -> bool:
        """Starts a job unless it has ended already; False if another process runs it."""
        run = job.run_dir(self.sweep)
        if run.is_symlink() and not run.exists():
            run.unlink()  # a reused result that has been deleted since
        claim = locks.take(run)
        if claim is None:
            return False
        if is_locked(run):  # its sweep has died, and it will soon
            claim.release()
            return False
        stands = job_status.read(run)
        done = stands.state == "done"
        if stands.state == "pruned" or (done and self.complete(stands)):
            claim.release()
            source.finished(job, stands)
            watcher.ended(job, stands, 0.0, before=True)
            return True
        resume = not done and self.resumes and job_status.can_resume(run)
        if not resume and not done and stands.state != "missing":
            job_status.clear(run)
        slot = self.free.pop()
        if getattr(self.starter, "broken", False):
            self.starter = Fresh()  # the fork server was killed from outside
        spec: Spec = {
            "call": self.call,
            "arguments": [self.arguments(job, run, resume)],
            "log": str(run / LOG),
            "env": slot.env,
            "threads": slot.threads,
        }
        process = self.starter.start(spec)
        self.running.append(Running(job, run, claim, process, slot, time.monotonic(), tries))
        watcher.started(job, run, resume)
        return True

    def _look_elsewhere(self, source: JobSource, watcher: Watcher) -> None:
        """Retries jobs that another process runs: they end there, or become free when it dies."""
        now = time.monotonic()
        if not self.elsewhere or not self.free or now - self._looked_elsewhere < _LOOK or self.stopped:
            return
        self._looked_elsewhere = now
        for job in list(self.elsewhere):
            if self.free and self._begin(job, 0, source, watcher):
                self.elsewhere.remove(job)
        watcher.elsewhere(len(self.elsewhere))

    # -- watching ----------------------------------------------------------------------------------------------------

    def _look(self, source: JobSource, watcher: Watcher) -> None:
        now = time.monotonic()
        for item in self.running:
            if item.stopping:
                if now > item.deadline:
                    item.process.signal(signal.SIGKILL)
                continue
            if self.rules.timeout is not None and now - item.began > self.rules.timeout:
                self._stop(item, "timeout")
                continue
            if now - item.looked < _LOOK:
                continue
            item.looked = now
            if self._read_rows(item):
                watcher.progress(item.job, item.rows)
                if source.hopeless(item.job, item.rows):
                    self._stop(item, "pruned")

    def _read_rows(self, item: Running) -> bool:
        """Reads the epochs of a running job; whether there are new ones."""
        try:
            stat = (item.run / "metrics.csv").stat()
            seen = (stat.st_size, stat.st_mtime)
            if seen == item.seen:
                return False
            item.seen = seen
            rows = epoch_rows(read_rows(item.run / "metrics.csv"))
        except OSError:
            return False
        new = len(rows) != len(item.rows)
        item.rows = rows
        return new

    def _stop(self, item: Running, why: str) -> None:
        item.stopping, item.deadline = why, time.monotonic() + GRACE_SECONDS
        item.process.signal(signal.SIGTERM)

    # -- ending ------------------------------------------------------------------------------------------------------

    def _after(self, source: JobSource, watcher: Watcher) -> None:
        for item in [item for item in self.running if item.process.code is not None]:
            self.running.remove(item)
            self.free.append(item.slot)
            end = judge(item.run, item.process.code, item.stopping, len(item.rows), self.rules.timeout)
            item.claim.release()
            seconds = time.monotonic() - item.began
            if end.state == "failed" and self._tries_again(item):
                self.again.append((item.job, item.tries + 1))
                continue
            if end.state in ("failed", "refused") and self.rules.stop_on_error:
                self.stopped = True
            if end.state == "half":  # this job alone was stopped from outside
                end = JobState("failed", end.result, end.reason or "it was stopped from outside")
            source.finished(item.job, end)
            watcher.ended(item.job, end, seconds, before=False)

    def _tries_again(self, item: Running) -> bool:
        again = item.stopping != "timeout" and not self.stopped and self.interrupted is None
        return again and item.tries < self.rules.retries

    def _stop_all(self, source: JobSource, watcher: Watcher) -> None:
        """Stops every running job, which writes its checkpoint, so that the same command resumes from there."""
        for item in self.running:
            if not item.stopping:
                self._stop(item, "interrupted")
        while self.running:
            self.starter.wait(_TICK)
            for item in [item for item in self.running if item.process.code is not None]:
                self.running.remove(item)
                end = job_status.read(item.run)
                item.claim.release()
                if end.state == "done":
                    source.finished(item.job, end)
                    watcher.ended(item.job, end, time.monotonic() - item.began, before=False)
            for item in self.running:
                if time.monotonic() > item.deadline:
                    item.process.signal(signal.SIGKILL)

    def _interrupt(self, reason: str) -> None:
        if self.interrupted is not None:
            raise KeyboardInterrupt  # a second interrupt does not wait
        self.interrupted = reason
