"""Ranks the configurations of a sweep, and finds those not significantly different from the best."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bmx.files.atomic import replacing
from bmx.metrics.standard import LOSS, main_names
from bmx.runs.report.numbers import is_number
from bmx.sweep.job import Job
from bmx.sweep.job_status import JobState
from bmx.sweep.leaderboard.statistics import ALPHA, Mean, holm, mean, paired
from bmx.sweep.objective import Objective, value

BOARD = "leaderboard.csv"
# Shown next to the objective; test metrics are never used for selection.
_BESIDE = (*main_names("test"), f"test/{LOSS.name}")


@dataclass
class BoardEntry:
    """One configuration with all its seeds.

    Attributes:
        point: the swept keys and their values.
        jobs: the jobs of its seeds, with the outcome of each.
        values: of each objective, the value for each seed.
        means: of each objective, the mean over the seeds.
        bounded: of each constraint, the mean over the seeds.
        kept: it satisfies every constraint.
        rank: 1 is best; None if it has no value, or violates a constraint.
        tied: not significantly different from the best, by at least two common seeds.
        p: Holm-corrected p-value of the paired comparison with the best; None where there is nothing to compare.
        front: on the Pareto front: no other is at least as good in every objective and better in one.
    """

    point: Mapping[str, str]
    jobs: list[tuple[Job, Path, JobState]] = field(default_factory=list)
    values: list[dict[int, float]] = field(default_factory=list)
    means: list[Mean | None] = field(default_factory=list)
    bounded: list[Mean | None] = field(default_factory=list)
    kept: bool = True
    rank: int | None = None
    tied: bool = False
    p: float | None = None
    front: bool = False

    def count(self, state: str) -> int:
        """How many of its jobs ended in this state."""
        return sum(end.state == state for _, _, end in self.jobs)

    @property
    def label(self) -> str:
        """The swept values in a line."""
        return " ".join(f"{key}={text}" for key, text in self.point.items()) or "as configured"

    def average(self, group: str, name: str) -> float | None:
        """The mean of a number in the results of its finished jobs."""
        numbers = [(end.result.get(group) or {}).get(name) for _, _, end in self.jobs if end.state == "done"]
        known = [float(number) for number in numbers if is_number(number)]
        return sum(known) / len(known) if known else None


@dataclass(frozen=True)
class Board:
    """Every configuration, the best first; with several objectives the Pareto front first."""

    entries: list[BoardEntry]
    objectives: list[Objective]
    bounds: Sequence[Objective] = ()

    @property
    def best(self) -> BoardEntry | None:
        """The first one, if it has a value."""
        return self.entries[0] if self.entries and self.entries[0].rank is not None else None

    @property
    def beside(self) -> str | None:
        """The test metric that is shown for information."""
        for name in _BESIDE:
            if any(entry.average("metrics", name) is not None for entry in self.entries):
                return name
        return None

    @property
    def ties(self) -> list[BoardEntry]:
        """The configurations not significantly different from the best, without the best."""
        return [entry for entry in self.entries[1:] if entry.tied]


def make(
    ended: Sequence[tuple[Job, Path, JobState]], objectives: list[Objective], bounds: Sequence[Objective] = ()
) -> Board:
    """Groups jobs by their point, compares the configurations, and sorts them.

    Args:
        ended: every job with its run directory and its outcome.
        objectives: what is optimised, ``auto`` resolved.
        bounds: constraints; an entry that violates one is sorted last, without a rank.
    """
    grouped: dict[tuple[tuple[str, str], ...], BoardEntry] = {}
    for job, run, end in ended:
        entry = grouped.setdefault(tuple(job.point.items()), BoardEntry(job.point))
        entry.jobs.append((job, run, end))
    entries = list(grouped.values())
    for entry in entries:
        entry.values = [_by_seed(entry, objective) for objective in objectives]
        entry.means = [_mean(found) for found in entry.values]
        entry.bounded = [_mean(_by_seed(entry, bound)) for bound in bounds]
        limits = zip(bounds, entry.bounded, strict=True)
        entry.kept = all(centre is not None and bound.excess(centre.value) <= 0 for bound, centre in limits)
    _mark_front(entries, objectives)
    first = objectives[0]

    def order(entry: BoardEntry) -> tuple[bool, bool, bool, float]:
        centre = entry.means[0]
        if centre is None or any(other is None for other in entry.means):
            return (True, True, True, 0.0)
        return (
            False,
            not entry.kept,
            len(objectives) > 1 and not entry.front,
            -centre.value if first.higher else centre.value,
        )

    entries.sort(key=order)
    _rank(entries, order)
    if len(objectives) == 1:
        _compare_with_best(entries, first)
    return Board(entries, objectives, bounds)


def _mean(found: Mapping[int, float]) -> Mean | None:
    return mean(list(found.values())) if found else None


def _by_seed(entry: BoardEntry, objective: Objective) -> dict[int, float]:
    found = {}
    for job, run, end in entry.jobs:
        number = value(run, end.result, objective) if end.state == "done" else None
        if number is not None:
            found[_seed(job, end)] = number
    return found


def _seed(job: Job, end: JobState) -> int:
    return job.seed if job.seed is not None else int(end.result.get("seed") or 0)


def _rank(entries: list[BoardEntry], order: Any) -> None:
    before: tuple[Any, int] | None = None
    for place, entry in enumerate(entries, 1):
        if any(centre is None for centre in entry.means) or not entry.kept:
            continue
        key = order(entry)
        entry.rank = before[1] if before is not None and before[0] == key else place
        before = (key, entry.rank)


def _compare_with_best(entries: list[BoardEntry], objective: Objective) -> None:
    ranked = [entry for entry in entries if entry.rank is not None]
    if not ranked:
        return
    best, others = ranked[0], ranked[1:]
    found = [paired(best.values[0], entry.values[0]) for entry in others]
    known = [i for i, comparison in enumerate(found) if comparison.p is not None]
    for i, p in zip(known, holm([found[i].p or 0.0 for i in known]), strict=True):
        others[i].p = p
    for entry in others:
        entry.tied = entry.p is not None and entry.p >= ALPHA
    best.tied = any(entry.tied for entry in others)


def _mark_front(entries: list[BoardEntry], objectives: list[Objective]) -> None:
    known = [entry for entry in entries if entry.kept and all(centre is not None for centre in entry.means)]
    signs = [1.0 if objective.higher else -1.0 for objective in objectives]
    scores = [[s * centre.value for s, centre in zip(signs, e.means, strict=True) if centre] for e in known]
    for entry, mine in zip(known, scores, strict=True):
        entry.front = not any(_dominates(other, mine) for other in scores)


def _dominates(a: list[float], b: list[float]) -> bool:
    return all(x >= y for x, y in zip(a, b, strict=True)) and a != b


def write_csv(board: Board, path: Path) -> None:
    """Writes a row for every configuration, the best first.

    Columns: rank, tied, the swept keys, and for each objective mean, half-width of the 95 % confidence interval and the
    values for each seed; then what is shown for information only.
    """
    keys = list(dict.fromkeys(key for entry in board.entries for key in entry.point))
    names = [objective.name for objective in board.objectives]
    beside = board.beside
    header = ["rank", "tied_with_best", "p_against_best", *(["pareto_front"] if len(names) > 1 else []), *keys]
    for name in names:
        header += [name, f"{name} ±95%"]
    header += [f"{bound.name} (bound {bound.bound:g})" for bound in board.bounds]
    header += ["seeds", "done", "failed", "pruned"]
    header += [f"{beside} (not used to choose)"] if beside else []
    header += ["parameters", "macs", "seconds", "runs"]
    with replacing(path, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for entry in board.entries:
            row: list[Any] = [entry.rank, entry.tied if entry.p is not None else None, entry.p]
            row += [entry.front] if len(names) > 1 else []
            row += [entry.point.get(key) for key in keys]
            for centre in entry.means:
                row += [centre.value if centre else None, centre.half if centre else None]
            row += [centre.value if centre else None for centre in entry.bounded]
            seeds = sorted(_seed(job, end) for job, _, end in entry.jobs)
            row += [
                " ".join(map(str, seeds)),
                entry.count("done"),
                entry.count("failed") + entry.count("refused"),
                entry.count("pruned"),
            ]
            row += [entry.average("metrics", beside)] if beside else []
            row += [entry.average("cost", "parameters"), entry.average("cost", "macs")]
            row += [entry.average("seconds", "total"), " ".join(run.name for _, run, _ in entry.jobs)]
            writer.writerow("" if cell is None else cell for cell in row)
