"""Report of a compression pipeline: a table with a column for the original and for each stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmx.files.shown import shown
from bmx.metrics.standard import main_of
from bmx.runs.report import numbers
from bmx.runs.report.bench import milliseconds
from bmx.runs.report.compression import COSTS, times, timing_of, title
from bmx.runs.report.summary import show as show_summary
from bmx.runs.report.terminal import wide

if TYPE_CHECKING:
    from rich.console import Console


def columns(result: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The original and each stage, with what was measured of it."""
    found = result["compression"]
    return [("original", found["before"]), *((stage["word"], stage) for stage in result.get("stages", []))]


def table(result: dict[str, Any]) -> list[list[str]]:
    """Rows of text: a label, the original, each stage, and the last against the first."""
    sides = [side for _, side in columns(result)]
    n, split = result["compression"].get("samples"), result["compression"].get("split", "test")
    found: list[list[str]] = []
    metric = main_of(sides[0]["metrics"])
    if metric is not None:
        scores = [side["metrics"][metric.name] for side in sides]
        gained = scores[-1] - scores[0]
        change = f"{100 * gained:+.2f} points" if metric.share else f"{gained:+.3g}"
        found.append([f"{split} {metric.said}", *(numbers.measured(metric, score, n) for score in scores), change])
    for key, label, show in COSTS:
        values = [side["cost"].get(key) for side in sides]
        found.append([label, *map(show, values), _change(values)])
    for timing in sides[0]["timings"]:
        engine, size = timing["engine"], timing["batch_size"]
        values = [timing_of(side, engine, size).get("median") for side in sides]
        found.append([f"{engine}, batch {size}", *map(milliseconds, values), _change(values)])
    return found


def _change(values: list[Any]) -> str:
    first, last = values[0], values[-1]
    known = numbers.is_number(first) and numbers.is_number(last) and first > 0 and last > 0
    return times(last / first) if known else ""


def show(result: dict[str, Any], run: Path, console: Console | None = None) -> None:
    """Print the table and where everything is."""
    from rich.text import Text

    from bmx.runs.report.table import TextTable

    if "compression" not in result:
        show_summary(result, run, console)
        return
    console = wide(console)
    console.print()
    console.print(Text(title(result), "bold"), soft_wrap=True)
    grid = TextTable(gap=2)
    grid.add_column("")
    for word, _ in columns(result):
        grid.add_column(word, right=True)
    grid.add_column("", right=True)
    for row in table(result):
        grid.add_row(*row)
    console.print(grid)
    console.print()
    console.print(Text(f"  run   {shown(run)}"), soft_wrap=True)
    if result.get("stages"):
        console.print(Text(f"  each stage is a run of its own in {shown(run)}/stages"), soft_wrap=True)
