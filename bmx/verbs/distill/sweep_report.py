"""Report of ``bmx distill -m``: the gain of each distillation over the same student alone, averaged over seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bmx.metrics.standard import MAIN
from bmx.runs.report import distill_sweep
from bmx.runs.report.distill_sweep import ConfigurationLine
from bmx.runs.sweep_jobs import done_jobs, told_apart
from bmx.sweep.leaderboard.statistics import Mean, mean

# The metric of a role's row on the test set, and its factor for display.
_MEASURES: tuple[tuple[str, float, Callable[[dict[str, Any]], Any]], ...] = (
    *(
        ("score", 100 if metric.percent else 1, lambda row, name=metric.name: row["metrics"].get(name))
        for metric in MAIN.values()
    ),
    ("agreement", 100, lambda row: row.get("agreement")),
    ("calibration", 100, lambda row: row.get("calibration_error")),
)


@dataclass
class _Group:
    """The jobs that differ only in their seed: a value per job, by role and metric."""

    found: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def add(self, rows: list[dict[str, Any]]) -> None:
        roles = {row["role"]: row for row in rows}  # with several teachers the last one is their ensemble
        numbers = {
            (role, measure): float(value) * scale
            for role, row in roles.items()
            for measure, scale, of in _MEASURES
            if (value := of(row)) is not None
        }
        numbers["gain", "score"] = numbers["distilled", "score"] - numbers["alone", "score"]
        for key, number in numbers.items():
            self.found.setdefault(key, []).append(number)

    def mean(self, role: str, measure: str = "score") -> Mean | None:
        values = self.found.get((role, measure))
        return mean(values) if values else None


def report(sweep: Path, _: object = None) -> None:
    """Prints a line for each configuration of a distillation sweep that has a baseline to compare with."""
    compared = [
        (result, result["distillation"]["rows"])
        for _, result in done_jobs(sweep)
        if any(row["role"] == "alone" for row in (result.get("distillation") or {}).get("rows", ()))
    ]
    if not compared:
        return
    groups: dict[tuple[str, ...], _Group] = {}
    words = [[w for w in result.get("overrides") or [] if not str(w).startswith("seed=")] for result, _ in compared]
    for own, (_, rows) in zip(told_apart(words), compared, strict=True):
        groups.setdefault(tuple(own), _Group()).add(rows)
    lines = [
        ConfigurationLine(
            name=" ".join(name),
            runs=len(group.found["gain", "score"]),
            teacher=group.mean("teacher"),
            alone=group.mean("alone"),
            distilled=group.mean("distilled"),
            gain=group.mean("gain"),
            agreement=group.mean("distilled", "agreement"),
            calibration=group.mean("distilled", "calibration"),
        )
        for name, group in sorted(groups.items())
    ]
    distill_sweep.show(lines, higher=MAIN["classification"].name in compared[0][1][0]["metrics"])
