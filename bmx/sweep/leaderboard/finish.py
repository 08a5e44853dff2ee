"""Writes the result of a sweep: leaderboard file and table, plots, and the command that repeats the best job."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bmx.metrics.standard import named
from bmx.runs import result as results
from bmx.runs.metrics_csv import read_rows
from bmx.runs.report import numbers
from bmx.runs.report.ranking import Ranking, relative, show
from bmx.sweep import job_status
from bmx.sweep.job import Job
from bmx.sweep.job_status import JobState
from bmx.sweep.leaderboard import ranking
from bmx.sweep.leaderboard import text as verdict
from bmx.sweep.leaderboard.ranking import BOARD, Board, BoardEntry
from bmx.sweep.objective import AUTO, Objective, settle
from bmx.sweep.plan import Plan

log = logging.getLogger("bmx.sweep")
SHOWN = 20
"""Rows of the table; leaderboard.csv has them all."""
Ended = Sequence[tuple[Job, Path, JobState]]


def gather(plan: Plan, sweep: Path, jobs: Sequence[Job]) -> list[tuple[Job, Path, JobState]]:
    """The current state of every job of a sweep."""
    return [(job, job.run_dir(sweep), job_status.read(job.run_dir(sweep))) for job in jobs]


def conclude(
    plan: Plan, sweep: Path, ended: Ended, interrupted: str, shares: dict[str, float] | None = None
) -> dict[str, Any]:
    """Writes leaderboard.csv, plots and result.json, prints a summary, and returns the result.

    Args:
        plan: the planned sweep.
        sweep: the sweep's directory.
        ended: every job with its outcome.
        interrupted: why it was stopped before its end; empty if it was not.
        shares: the importance of each key, for a search.
    """
    objectives = settle(plan.objectives, [end.result for _, _, end in ended])
    board = ranking.make(ended, objectives, plan.bounds)
    ranking.write_csv(board, sweep / BOARD)
    plots = _plots(board, sweep, shares or {})
    undone = ("failed", "refused") if interrupted else ("failed", "refused", "half")
    failed = [(job, run, end) for job, run, end in ended if end.state in undone]
    status = "interrupted" if interrupted else "failed" if failed else "done"
    reason = interrupted or (f"{len(failed)} of {len(ended)} jobs failed" if failed else None)
    finished = results.finish(sweep, status, reason, **_facts(board, ended))
    show(_ranking(plan, board, ended, interrupted))
    _say_where(plan, board, sweep, plots, failed)
    return finished


def _facts(board: Board, ended: Ended) -> dict[str, Any]:
    best = board.best
    counts = {state: sum(end.state == state for _, _, end in ended) for state in ("done", "failed", "pruned", "half")}
    facts: dict[str, Any] = {"jobs": {"all": len(ended), **counts}}
    if best is not None:
        facts["metrics"] = {o.name: m.value for o, m in zip(board.objectives, best.means, strict=True) if m}
        facts["best_point"] = dict(best.point)
        done = any(end.state == "done" for _, _, end in best.jobs)
        facts["best_job"] = _best_job(board, best)[1].name if done else None
        facts["best_runs"] = [str(run) for _, run, end in best.jobs if end.state == "done"]
        facts["cost"] = {"parameters": best.average("cost", "parameters"), "macs": best.average("cost", "macs")}
    return facts


def _ranking(plan: Plan, board: Board, ended: Ended, interrupted: str) -> Ranking:
    shown = board.entries[:SHOWN]
    keys = list(dict.fromkeys(key for entry in board.entries for key in entry.point))
    seeds = max((len(entry.jobs) for entry in board.entries), default=1)
    beside, several = board.beside, len(board.objectives) > 1
    objectives = [o for o in board.objectives if o != AUTO]
    columns = ["", *keys, *(f"{o.said}{' *' if i == 0 else ''}" for i, o in enumerate(objectives))]
    columns += [f"{bound.said} ‡" for bound in board.bounds]
    columns += [beside.replace("/", " ") + " †"] if beside else []
    columns += ["parameters", "time"]
    columns += ["jobs"] if any(entry.count("done") < len(entry.jobs) for entry in board.entries) else []
    rows = [[*_cells(entry, keys, board, objectives), *_jobs(entry, columns)] for entry in shown]
    notes = []
    if objectives:
        over = f"mean over {seeds} seeds ± 95 % interval, " if seeds > 1 else ""
        notes.append(f"* {over}at the epoch whose weights were kept; the order goes by it")
    if board.bounds:
        notes.append(f"‡ only what keeps to {verdict.bounds_said(board.bounds)} is ranked")
    if beside:
        notes.append("† for information: the test set is not used to choose")
    done = sum(end.state == "done" for _, _, end in ended)
    title = f"{done} of {len(ended)} jobs done" + (f", {interrupted}" if interrupted else "")
    best = frozenset(
        i for i, entry in enumerate(shown) if (entry.front if several else entry.tied or i == 0) and entry.rank
    )
    measured = any(end.result.get("metrics") for _, _, end in ended)
    nothing = ["There is no validation result to choose by."] if measured else []
    sentences = verdict.sentences(board) if objectives else nothing
    return Ranking(title, columns, rows, best, sentences, notes, len(board.entries) - len(shown))


def _cells(entry: BoardEntry, keys: list[str], board: Board, objectives: list[Objective]) -> list[str]:
    beside = board.beside
    if entry.rank is None:
        place = numbers.MISSING
    elif len(board.objectives) > 1:
        place = "front" if entry.front else ""
    else:
        place = "=1" if entry.tied and entry.rank > 1 else str(entry.rank)
    cells = [place, *(entry.point.get(key, "") for key in keys)]
    cells += [verdict.said(o, m) for o, m in zip(objectives, entry.means, strict=False)]
    cells += [verdict.said(o, m) for o, m in zip(board.bounds, entry.bounded, strict=True)]
    if beside:
        average = entry.average("metrics", beside)
        cells.append(numbers.measured(named(beside), average))
    cells += [numbers.whole(entry.average("cost", "parameters")), numbers.seconds(entry.average("seconds", "total"))]
    return cells


def _jobs(entry: BoardEntry, columns: list[str]) -> list[str]:
    if columns[-1] != "jobs":
        return []
    states = [(entry.count(state), said) for state, said in _STATES if entry.count(state)]
    return [", ".join(f"{count} {said}" for count, said in states)]


_STATES = (
    ("done", "done"),
    ("failed", "failed"),
    ("refused", "cannot run"),
    ("pruned", "ended early"),
    ("half", "stopped"),
    ("missing", "not run"),
)


def _say_where(plan: Plan, board: Board, sweep: Path, plots: list[Path], failed: Ended) -> None:
    for job, run, end in failed[:10]:
        print(f"failed: {job.label}: {end.reason or 'no reason given'} ({relative(run / job_status.LOG)})")
    if len(failed) > 10:
        print(f"failed: and {len(failed) - 10} more, see {BOARD}")
    names = f"  plots: {', '.join(plot.stem for plot in plots)}" if plots else ""
    print(f"sweep  {relative(sweep)}  {BOARD}{names}")
    best = board.best
    if best is not None:
        job, run, _ = _best_job(board, best)
        print(f"best   {relative(run)}")
        print(f"again  {plan.again(job)}")


def _best_job(board: Board, best: BoardEntry) -> tuple[Job, Path, JobState]:
    """The job of the best configuration with the best seed."""
    first = board.objectives[0]
    done = [item for item in best.jobs if item[2].state == "done"]
    values = best.values[0]

    def reached(item: tuple[Job, Path, JobState]) -> float:
        seed = item[0].seed if item[0].seed is not None else int(item[2].result.get("seed") or 0)
        return values.get(seed, float("-inf") if first.higher else float("inf"))

    return max(done, key=reached) if first.higher else min(done, key=reached)


def _plots(board: Board, sweep: Path, shares: dict[str, float]) -> list[Path]:
    """Every plot with data to show; a failing plot does not prevent the rest."""
    folder, drawn = sweep / "plots", []
    for name, draw in _drawings(board, shares):
        try:
            draw(folder / f"{name}.png")
        except Exception:
            log.warning("the plot %s could not be drawn", name, exc_info=True)
            continue
        if (folder / f"{name}.png").exists():
            drawn.append(folder / f"{name}.png")
    return drawn


def _drawings(board: Board, shares: dict[str, float]) -> list[tuple[str, Any]]:
    if board.best is None or board.objectives == [AUTO]:
        return []
    from bmx.runs.report import sweep_curves, sweep_plots
    from bmx.runs.report.sweep_plots import SweepPoint

    first, found = board.objectives[0], []
    ranked = [entry for entry in board.entries if entry.rank is not None]
    good = [entry.front if len(board.objectives) > 1 else entry.tied and entry.p is not None for entry in ranked]
    points = [SweepPoint(dict(e.point), e.means[0].value, g) for e, g in zip(ranked, good, strict=True) if e.means[0]]
    keys = {key for entry in ranked for key in entry.point}
    said = (first.said, first.higher, first.metric)
    if len(points) > 1 and len(keys) == 2 and not shares and all(len(p.keys) == 2 for p in points):
        found.append(("heat_map", lambda path: sweep_plots.heat_map(points, path, *said)))
    elif len(points) > 1 and keys:
        found.append(("parallel", lambda path: sweep_plots.parallel(points, path, *said)))
    runs = _curves(board)
    if runs:
        metric = first.name if first.name.startswith("val/") else "val/loss"
        found.append(("curves", lambda path: sweep_curves.curves_together(runs, path, metric)))
    if shares:
        found.append(("importances", lambda path: sweep_curves.importances(shares, path, first.said)))
    if len(board.objectives) > 1:
        second = board.objectives[1]
        pairs = [(e.label, e.means[0].value, e.means[1].value, e.front) for e in ranked if e.means[0] and e.means[1]]
        names, higher = (first.said, second.said), (first.higher, second.higher)
        found.append(("front", lambda path: sweep_curves.front(pairs, path, names, higher, first.metric)))
    return found


def _curves(board: Board) -> list[tuple[str, list[dict[str, Any]], bool]]:
    found = []
    for at, entry in enumerate(board.entries[:100]):
        for _, run, end in entry.jobs:
            if end.state not in ("done", "pruned"):
                continue
            with contextlib.suppress(OSError):
                strong = entry.front if len(board.objectives) > 1 else at == 0 or (entry.tied and entry.p is not None)
                found.append((entry.label, read_rows(run / "metrics.csv"), strong))
    return found
