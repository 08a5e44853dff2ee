"""Summary of a leaderboard in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from bmx.runs.report import numbers
from bmx.sweep.leaderboard.ranking import Board, BoardEntry
from bmx.sweep.leaderboard.statistics import Mean
from bmx.sweep.objective import Objective

_NAMED = 3


def sentences(board: Board) -> list[str]:
    """One to three sentences about the best configuration and those not significantly different from it."""
    best = board.best
    if best is None and any(not entry.kept for entry in board.entries):
        return [f"No configuration keeps to {bounds_said(board.bounds)}{_nearest(board)}."]
    if best is None:
        return ["Nothing can be ranked: no job has ended with a value to choose by."]
    if len(board.objectives) > 1:
        front = sum(entry.front for entry in board.entries)
        names = " and ".join(objective.said for objective in board.objectives)
        return [f"{front} of {len(board.entries)} configurations are on the Pareto front of {names}."]
    ranked = [entry for entry in board.entries if entry.rank is not None]
    if len(ranked) == 1:
        return []
    if all(entry.p is None for entry in ranked[1:]):
        return [
            f"{best.label} came out best, with one seed each: the order may be luck.",
            "To know, repeat every configuration: add seeds=5.",
        ]
    found = []
    beaten = [entry for entry in ranked[1:] if not entry.tied]
    if board.ties:
        found.append(
            f"There is no evidence that {best.label} is better than {_list(board.ties)} "
            f"({_p(board.ties)}, paired over common seeds)."
        )
    if beaten:
        found.append(f"{best.label} is better than {_list(beaten)} ({_p(beaten)}, paired over common seeds).")
    return found


def bounds_said(bounds: Sequence[Objective]) -> str:
    """Constraints as text: ``val accuracy of at least 97.0 %``."""
    limits = [(one, "at least" if one.higher else "at most", Mean(one.bound or 0.0, None, 1)) for one in bounds]
    return " and ".join(f"{one.said} of {which} {said(one, limit)}" for one, which, limit in limits)


def _nearest(board: Board) -> str:
    known = [entry for entry in board.entries if all(entry.bounded)]
    if not known:
        return ""

    def missed(entry: BoardEntry) -> float:
        return max(one.excess(c.value) for one, c in zip(board.bounds, entry.bounded, strict=True) if c)

    nearest = min(known, key=missed)
    reached = [f"{one.said} {said(one, c)}" for one, c in zip(board.bounds, nearest.bounded, strict=True)]
    return f"; nearest is {nearest.label}, {', '.join(reached)}"


def said(objective: Objective, centre: Mean | None, n: float | None = None) -> str:
    """A mean with its confidence interval: ``97.1 ± 0.4 %``."""
    if centre is None:
        return numbers.MISSING
    if objective.metric.percent:
        half = "" if centre.half is None else f" ± {100 * centre.half:.1f}"
        return f"{100 * centre.value:.1f}{half} %"
    if objective.name in ("cost/latency", "seconds/total"):
        return numbers.figures(1000 * centre.value, 3) + " ms" if centre.value < 1 else numbers.seconds(centre.value)
    if objective.name.startswith("cost/"):
        text = numbers.short(centre.value)
    else:
        text = numbers.figures(centre.value)
    return text if not centre.half else f"{text} ± {numbers.figures(centre.half, 2)}"


def _list(entries: list[BoardEntry]) -> str:
    labels = [entry.label for entry in entries[:_NAMED]]
    if len(entries) > _NAMED:
        return f"{', '.join(labels)} and {len(entries) - _NAMED} more"
    return " or ".join(labels)


def _p(entries: list[BoardEntry]) -> str:
    ps = [entry.p for entry in entries if entry.p is not None]
    if not ps:
        return "too few common seeds"
    low, high = (f"{p:.3f}" if p >= 0.001 else "< 0.001" for p in (min(ps), max(ps)))
    return f"p = {low}".replace("= <", "<") if low == high else f"p from {low} to {high}".replace("from <", "<")
