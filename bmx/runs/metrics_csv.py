"""Reads ``metrics.csv``, also while it is being written or after its writer was killed."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

_WHOLE = ("epoch", "step")
_TEXT = ("row",)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics file: column to number; ``epoch`` and ``step`` are int, ``row`` is "step" or "epoch".

    Empty cells are left out of their row. A line without its line end, or with a field too many or too few, was torn
    by a kill and is left out. A second header line, where columns were added, counts from there on.
    """
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    whole, _, _torn = text.rpartition("\n")
    rows: list[dict[str, Any]] = []
    header: list[str] = []
    for cells in csv.reader(line for line in whole.split("\n") if line.strip("\r") and "\0" not in line):
        if not header or cells[:2] == header[:2]:
            header = cells
        elif len(cells) == len(header):
            row = _row(header, cells)
            if row is not None:
                rows.append(row)
    return rows


def epoch_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per epoch, in order; of an epoch that was repeated after a resume, the last."""
    last = {row["epoch"]: row for row in rows if row.get("row") == "epoch" and "epoch" in row}
    return [last[epoch] for epoch in sorted(last)]


def _row(header: list[str], cells: list[str]) -> dict[str, Any] | None:
    row: dict[str, Any] = {}
    try:
        for name, cell in zip(header, cells, strict=True):
            if cell == "":
                continue
            row[name] = cell if name in _TEXT else int(float(cell)) if name in _WHOLE else float(cell)
    except (ValueError, OverflowError):
        return None
    return row
