"""The loop of a hyperparameter search: asks the study for points, runs their jobs, reports their values."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmx.runs.metrics_csv import epoch_rows, read_rows
from bmx.sweep import directory, job_status, reuse
from bmx.sweep.job import Job
from bmx.sweep.job_status import JobState
from bmx.sweep.leaderboard.finish import conclude, gather
from bmx.sweep.objective import Objective, value
from bmx.sweep.plan import Plan
from bmx.sweep.run_jobs import failures, opening, recorded, run_elsewhere, run_pool

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

    from bmx.sweep.search.study import Study

_REPEATS = 60
"""Consecutive repeated points after which the space counts as exhausted."""
_REFUSED = 40
"""Consecutive jobs that cannot run after which the search gives up."""
_UNKNOWN = 1e6
"""Constraint violation of a trial that could not be measured."""


@dataclass
class _Open:
    """A running trial: its jobs, one for each seed, and those that have ended."""

    trial: Trial
    jobs: list[Job]
    ended: dict[str, JobState] = field(default_factory=dict)
    seen: int = 0
    hopeless: bool = False


class Search:
    """A job source that takes its jobs from a study.

    Args:
        plan: the planned search.
        sweep: the sweep's directory.
        study: proposes the points.
        trials: their number; None for any number.
        deadline: when to begin no further trial, by the monotonic clock; None for no limit.
        prunes: whether unpromising jobs are stopped early.
        take_over: reuse results that an earlier sweep has made with the same code.
    """

    def __init__(
        self,
        plan: Plan,
        sweep: Path,
        study: Study,
        trials: int | None,
        deadline: float | None,
        prunes: bool,
        take_over: bool = False,
    ) -> None:
        self.plan = plan
        self.sweep = sweep
        self.study = study
        self.trials = trials
        self.deadline = deadline
        self.prunes = prunes
        self.take_over = take_over
        self.jobs: dict[str, Job] = {}
        self.open: dict[str, _Open] = {}
        self.queue: deque[Job] = deque()
        self.over = False
        self.why = ""
        """Why the search ended before its budget was spent, as text."""
        self._waits = False
        self._repeats = 0
        self._refused = 0

    def next(self) -> Job | None:
        if not self.queue:
            self._ask()
        return self.queue.popleft() if self.queue else None

    def _ask(self) -> None:
        while not self.over and not self._waits and not self.queue:
            if self.deadline is not None and time.monotonic() >= self.deadline:
                self.over = True
                return
            asked = self.study.ask(self.plan.space, self.trials)
            if asked is None:  # running trials may turn out not to count
                self._waits = bool(self.open)
                self.over = not self._waits
                return
            trial, point = asked
            jobs = [self.plan.job(point, seed)[0] for seed in (self.plan.words.seeds or (None,))]
            if any(job.key in self.open for job in jobs):  # running in this process
                self.study.repeated(trial, None)
                self._repeated()
                continue
            item = _Open(trial, jobs)
            if all(job.key in self.jobs for job in jobs):
                self.study.bound(trial, self._excesses(jobs))
                self.study.repeated(trial, self._values(jobs, self.plan.objectives))
                self._repeated()
                continue
            self._repeats = 0
            trial.set_user_attr("jobs", [job.key for job in jobs])
            for job in jobs:
                self.jobs[job.key] = job
                self.open[job.key] = item
                if self.take_over:
                    reuse.take_over(self.sweep, self.plan.outputs, job.key)
                self.queue.append(job)

    def _repeated(self) -> None:
        self._repeats += 1
        if self._repeats >= _REPEATS:
            self.over, self.why = True, f"{_REPEATS} points in a row had been tried before"

    def finished(self, job: Job, end: JobState) -> None:
        item = self.open.pop(job.key, None)
        if item is None:
            return
        item.ended[job.key] = end
        self._waits = False
        self._refused = self._refused + 1 if end.state == "refused" else 0
        if self._refused >= _REFUSED:
            self.over, self.why = True, f"{_REFUSED} jobs in a row could not run"
        if len(item.ended) < len(item.jobs):
            return
        if self.prunes and end.state == "done":
            self._report_rest(item, job)
        states = [one.state for one in item.ended.values()]
        self.study.bound(item.trial, self._excesses(item.jobs))
        if all(state == "done" for state in states):
            values = self._values(item.jobs, self.plan.objectives)
            self.study.tell(item.trial, values, "done" if values is not None else "failed")
        elif "pruned" in states:
            self.study.tell(item.trial, None, "pruned")
        else:
            self.study.tell(item.trial, None, "refused" if "refused" in states else "failed")

    def hopeless(self, job: Job, rows: list[dict[str, Any]]) -> bool:
        item = self.open.get(job.key)
        if not self.prunes or item is None:
            return False
        if item.hopeless:
            return True
        if job is item.jobs[0]:  # the first seed decides for the others
            item.hopeless = self.study.report(item.trial, rows, self.plan.objectives[0].name, item.seen)
            item.seen = int(rows[-1]["epoch"]) if rows else item.seen
        return item.hopeless

    def exhausted(self) -> bool:
        return self.over and not self.queue

    def _report_rest(self, item: _Open, job: Job) -> None:
        """Reports the last epochs of a job that ended between two polls, for the pruner to compare others with."""
        file = item.jobs[0].run_dir(self.sweep) / "metrics.csv"
        if file.exists():
            rows = epoch_rows(read_rows(file))
            self.study.report(item.trial, rows, self.plan.objectives[0].name, item.seen)

    def _excesses(self, jobs: list[Job]) -> dict[str, float]:
        """The violation of each constraint by a trial; a huge value where nothing was measured."""
        bounds = self.plan.bounds
        reached = self._values(jobs, bounds)
        if reached is None:
            return {one.name: _UNKNOWN for one in bounds}
        return {one.name: one.excess(number) for one, number in zip(bounds, reached, strict=True)}

    def _values(self, jobs: list[Job], objectives: Sequence[Objective]) -> list[float] | None:
        """The mean of each objective over the seeds; None if one of them is missing."""
        ended = gather(self.plan, self.sweep, jobs)
        means = []
        for objective in objectives:
            found = [value(run, end.result, objective) for _, run, end in ended if end.state == "done"]
            known = [number for number in found if number is not None]
            if len(known) < len(jobs):
                return None
            means.append(statistics.fmean(known))
        return means


def run_search(plan: Plan, sweep: Path, launcher: Any, settings: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Searches until the budget is spent, and writes the sweep's result.

    Args:
        plan: the planned search.
        sweep: the sweep's directory.
        launcher: bmx's own or any other Hydra launcher.
        settings: the keys of ``conf/hydra/sweeper/tpe.yaml``.

    Returns:
        The sweep's result, and the directories of the jobs that failed.
    """
    from bmx.sweep.search.study import Study

    own = hasattr(launcher, "pool")
    pool = launcher.pool(plan, sweep) if own else None
    places = len(pool.free) if pool is not None else int(settings.get("batch") or 4)
    several = len(plan.objectives) > 1
    pruner = settings["pruner"]
    if pruner == "auto":
        pruner = "none" if several or not own else "median"
    minutes = settings.get("minutes")
    interrupted = ""
    with recorded(plan, sweep):
        study = Study(
            sweep,
            plan.identity,
            plan.objectives,
            settings["sampler"],
            pruner,
            settings.get("seed"),
            places,
            settings.get("trials"),
            plan.first,
        )
        try:
            before = _jobs(plan, study.known())
            stand = [job_status.read(job.run_dir(sweep)).state for job in before]
            limits = [(settings.get("trials"), "trials"), (minutes, "minutes")]
            most = " or ".join(f"{limit:g} {unit}" for limit, unit in limits if limit is not None)
            for line in opening(plan, sweep, stand, 0, f"search by {settings['sampler']}, at most {most}"):
                print(line, flush=True)
            deadline = None if minutes is None else time.monotonic() + 60 * float(minutes)
            reuses = bool(settings.get("reuse"))
            search = Search(plan, sweep, study, settings.get("trials"), deadline, pruner != "none", reuses)
            # Not those that ended when their process died before reporting them: they are asked for again.
            told = {key for trial in study.told() for key in trial.user_attrs.get("jobs", ())}
            over = [job for job, s in zip(before, stand, strict=True) if s in ("done", "pruned") and job.key in told]
            search.jobs.update({job.key: job for job in over})
            if pool is not None:
                trials, seeds = settings.get("trials"), max(1, len(plan.words.seeds))
                left = None if trials is None else seeds * max(0, trials - study.counted())
                interrupted = run_pool(pool, search, plan, sweep, left)
            else:
                _in_batches(search, launcher, sweep, places)
            if settings.get("trials") is not None and not interrupted and study.counted() >= settings["trials"]:
                note_over(plan, sweep, int(settings["trials"]))
            if search.why:
                print(f"the search ended early: {search.why}", flush=True)
            jobs = list({job.key: job for job in (*_jobs(plan, study.known()), *search.jobs.values())}.values())
            shares = study.importances()
        finally:
            study.close()
        # Configurations that cannot run are outside the space, not failures.
        ended = [item for item in gather(plan, sweep, jobs) if item[2].state not in ("missing", "refused")]
        finished = conclude(plan, sweep, ended, interrupted, shares)
    return finished, failures(ended)


def note_over(plan: Plan, sweep: Path, trials: int) -> None:
    """Records what was found out before the first trial, so that a repeated command with nothing to do can skip it."""
    directory.write(
        sweep,
        {
            "asked": plan.asked,
            "over": {
                "trials": trials,
                "left_out": plan.left_out,
                "notes": plan.notes,
                "objectives": [one.name for one in plan.objectives],
            },
        },
    )


def _in_batches(search: Search, launcher: Any, sweep: Path, size: int) -> None:
    """Runs the search in batches, for other launchers, which report nothing until a whole batch has ended."""
    number = 0
    while True:
        batch: list[Job] = []
        while len(batch) < size:
            job = search.next()
            if job is None:
                break
            batch.append(job)
        if not batch:
            return
        run_elsewhere(launcher, batch, sweep, number)
        number += len(batch)
        for job in batch:
            search.finished(job, job_status.read(job.run_dir(sweep)))


def _jobs(plan: Plan, trials: Sequence[FrozenTrial]) -> list[Job]:
    """The jobs of trials, of this process or another."""
    found = {}
    names = {one.name: one for one in plan.space.dimensions}
    names |= {one.name: one for brought in plan.space.conditional.values() for one in brought}
    for trial in trials:
        point = {names[name].key: names[name].text(value) for name, value in trial.params.items() if name in names}
        if len(point) < len(plan.space.dimensions):
            continue
        for seed in plan.words.seeds or (None,):
            job, _ = plan.job(point, seed)
            found[job.key] = job
    return list(found.values())
