"""Terminal output of a running sweep: a line per finished job, and on a terminal a line per running job."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bmx.metrics.standard import LOSS, main_names, named
from bmx.runs.report import numbers
from bmx.runs.report.foot import FOOT, colours, columns, moves
from bmx.sweep.job import Job
from bmx.sweep.job_status import JobState
from bmx.sweep.objective import AUTO, Objective, settle, value

_SIGNS = {"done": "done", "failed": "FAILED", "refused": "cannot run", "pruned": "ended early", "half": "stopped"}


@dataclass
class _Row:
    job: Job
    began: float
    again: bool
    epoch: int = 0
    said: str = ""


@dataclass
class Progress:
    """Counts and reports jobs; the base prints plain lines, for pipes, files and logs.

    Args:
        sweep: the sweep's directory.
        objectives: the objectives of the sweep.
        total: how many jobs there will be; None if unknown.
        places: how many run at a time.
    """

    sweep: Path
    objectives: list[Objective]
    total: int | None
    places: int
    done: int = 0
    failed: int = 0
    pruned: int = 0
    before: int = 0
    best: tuple[float, str] | None = None
    rows: dict[str, _Row] = field(default_factory=dict)
    spent: list[float] = field(default_factory=list)
    waiting: int = 0
    shared: bool = False
    forgiving: bool = False
    """Whether a configuration that cannot run is no failure: a search avoids it afterwards."""
    bounds: Sequence[Objective] = ()
    """Constraints that the best job has to satisfy."""
    began: float = field(default_factory=time.monotonic)

    def start(self) -> None:
        """The first job is about to run."""

    def started(self, job: Job, run: Path, again: bool) -> None:
        """A job has been given a process; ``again`` if it resumes from a checkpoint."""
        self.rows[job.key] = _Row(job, time.monotonic(), again)

    def progress(self, job: Job, rows: list[dict[str, Any]]) -> None:
        """A running job has finished another epoch."""
        row = self.rows.get(job.key)
        if row is None or not rows:
            return
        row.epoch = int(rows[-1]["epoch"])
        usual = (*main_names("val"), f"val/{LOSS.name}", f"train/{LOSS.name}")
        shown = [(name, rows[-1].get(name)) for name in (self.objectives[0].name, *usual)]
        told = (f"{n.replace('/', ' ')} {numbers.measured(named(n), v)}" for n, v in shown if numbers.is_number(v))
        row.said = next(told, "")

    def ended(self, job: Job, end: JobState, seconds: float, before: bool) -> None:
        """A job has ended, or had already ``before`` this sweep was started."""
        self.rows.pop(job.key, None)
        if before and end.state == "done":
            self.before += 1
        elif end.state == "done":
            self.spent.append(seconds)
        self.done += end.state == "done"
        self.failed += end.state == "failed" or (end.state == "refused" and not self.forgiving)
        self.pruned += end.state == "pruned"
        said = self._note_best(job, end)
        if not before:
            self.tell(self._line(job, end, seconds, said))

    def elsewhere(self, jobs: int) -> None:
        """The number of jobs that are being run by another process."""
        if jobs and not self.shared:
            self.shared = True
            self.tell("some jobs are being run by another process; their results are waited for")
        self.waiting = jobs

    def tick(self) -> None:
        """Called a few times a second."""

    def note(self, text: str) -> None:
        """Shows a notice."""
        self.tell(text)

    def stop(self) -> None:
        """The sweep has ended."""

    def tell(self, text: str) -> None:
        """Prints a permanent line."""
        print(text, flush=True)

    def _note_best(self, job: Job, end: JobState) -> str:
        """Updates the best job; returns what the job reached, as text."""
        if end.state != "done":
            return ""
        if self.objectives == [AUTO]:
            self.objectives = settle(self.objectives, [end.result])
        first = self.objectives[0]
        reached = None if first == AUTO else value(job.run_dir(self.sweep), end.result, first)
        if reached is None:
            return ""
        limits = [(bound, value(job.run_dir(self.sweep), end.result, bound)) for bound in self.bounds]
        kept = all(found is not None and bound.excess(found) <= 0 for bound, found in limits)
        if kept and (self.best is None or first.better(reached, self.best[0])):
            self.best = (reached, job.label)
        return f"{first.said} {numbers.measured(first.metric, reached)}"

    def _line(self, job: Job, end: JobState, seconds: float, said: str) -> str:
        parts = [f"{_SIGNS.get(end.state, end.state)} {job.label}", numbers.seconds(seconds)]
        parts += [said] if said else []
        parts += [end.reason] if end.state in ("failed", "refused") and end.reason else []
        return f"{self._counted()}  " + " · ".join(parts)

    def _counted(self) -> str:
        over = self.done + self.failed + self.pruned
        return f"[{over}/{self.total}]" if self.total is not None else f"[{over}]"

    @property
    def left(self) -> str:
        """The estimated time left, as text; empty while unknown."""
        if not self.spent or self.total is None:
            return ""
        jobs = max(0, self.total - self.done - self.failed - self.pruned)
        mean = sum(self.spent) / len(self.spent)
        now = time.monotonic()
        running = sum(min(now - row.began, mean) for row in self.rows.values())
        return f"about {numbers.clock(max(0.0, jobs * mean - running) / self.places)} left" if jobs else ""


class PlainProgress(Progress):
    """Plain lines only."""


class TableProgress(Progress):
    """Permanent lines, above a redrawn line for each running job."""

    drawn: float = 0.0

    def start(self) -> None:
        self._draw()

    def tick(self) -> None:
        if time.monotonic() - self.drawn > _REDRAWN:
            self._draw()

    def stop(self) -> None:
        FOOT.clear()

    def tell(self, text: str) -> None:
        super().tell(text)
        self._draw()

    def _draw(self) -> None:
        self.drawn = time.monotonic()
        FOOT.draw(self.lines(columns(sys.stdout) - 1, colours(sys.stdout)))

    def lines(self, width: int, coloured: bool = False) -> list[str]:
        """A line for each running job, and one for the sweep; parts that do not fit are left out whole."""
        now = time.monotonic()
        rows = [self._parts(row, now) for row in list(self.rows.values())[:_ROWS]]
        columns_of = [max((len(row[i]) for row in rows), default=0) for i in range(4)]
        # Dropped first is what the job has reached, then how long it has run, then its progress.
        shown = [0, 1, 2, 3]
        for gone in (2, 3, 1):
            if 2 + sum(columns_of[i] + 2 for i in shown) > width:
                shown.remove(gone)
        lines = []
        for row in rows:
            said = "  ".join(f"{row[i]:<{columns_of[i]}}" for i in shown)
            lines.append(f"▸ {said}".rstrip())
        over = _joined(self._over(), width)
        return [*lines, f"\x1b[1m{over}\x1b[0m" if coloured else over]

    def _parts(self, row: _Row, now: float) -> tuple[str, str, str, str]:
        epochs = f"epoch {row.epoch}/{row.job.epochs}" if row.job.epochs else ""
        state = epochs if row.epoch else ("going on" if row.again else "starting")
        return row.job.label, state, row.said, numbers.clock(now - row.began)

    def _over(self) -> list[str]:
        """The state of the sweep, the most important part first."""
        over = f"{self.done} done" + (f", {self.failed} failed" if self.failed else "")
        over += f", {self.pruned} ended early" if self.pruned else ""
        known = self.done + self.failed + self.pruned + len(self.rows)
        waiting = 0 if self.total is None else max(0, self.total - known)
        parts = [over, f"{len(self.rows)} running", *([f"{waiting} to go"] if self.total is not None else [])]
        parts += [part for part in (self.left,) if part]
        if self.best is not None:
            reached, label = self.best
            first = self.objectives[0]
            parts.append(f"best {first.said} {numbers.measured(first.metric, reached)} ({label})")
        return parts


_REDRAWN = 0.25
"""Seconds between two redraws."""
_ROWS = 30


def _joined(parts: list[str], width: int) -> str:
    """The parts in a line, without the last ones where they do not fit."""
    parts = list(parts)
    while len(parts) > 1 and len(" · ".join(parts)) > width:
        parts.pop()
    return " · ".join(parts)


def choose(
    sweep: Path,
    objectives: list[Objective],
    total: int | None,
    places: int,
    forgiving: bool = False,
    bounds: Sequence[Objective] = (),
) -> Progress:
    """The display for the kind of output: terminal or plain."""
    made = TableProgress if moves(sys.stdout) else PlainProgress
    return made(sweep, list(objectives), total, places, forgiving=forgiving, bounds=bounds)
