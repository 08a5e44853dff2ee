"""``bmx runs list``: every run of an outputs folder, newest first."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmx.errors import UsageError
from bmx.metrics.standard import LOSS, main_names, named
from bmx.runs import result
from bmx.runs import run_id as stamp
from bmx.runs import status as liveness
from bmx.runs.finding import newest_first
from bmx.runs.locking import is_locked
from bmx.runs.report import numbers
from bmx.runs.report.terminal import console as paper
from bmx.runs.report.terminal import wide

if TYPE_CHECKING:
    from rich.console import Console

    from bmx.runs.report.table import TextTable

LIMIT = 20
_MAIN = (*main_names("test", "val"), f"test/{LOSS.name}", f"val/{LOSS.name}")
_STYLES = {
    "done": "green",
    "running": "cyan",
    "running?": "cyan dim",
    "interrupted": "yellow",
    "failed": "red",
    "died": "red",
}


@dataclass(frozen=True)
class Row:
    """One run of the list; unknown values are None."""

    id: str
    verb: str
    name: str
    status: str
    metric: str | None
    value: float | None
    n: int | None  # examples behind the value
    parameters: int | None
    epochs: int | None
    seconds: float | None
    started: str | None  # ISO 8601
    path: str


def rows(outputs: Path, limit: int = 0, verb: str | None = None) -> tuple[list[Row], int]:
    """The newest ``limit`` runs (0: all) and how many more there are; only the runs returned are opened."""
    found = newest_first(outputs, (verb,) if verb else None)
    shown = found[:limit] if limit > 0 else found
    return [row(path) for path in shown], len(found) - len(shown)


def row(path: Path) -> Row:
    """The listed values of one run directory; never an error, whatever is in it."""
    try:
        found = result.read(path)
        status = liveness.status(path, found)
    except UsageError:
        found = {}
        status = "starting" if is_locked(path) else "no result"
    metrics, cost, spent, data = (_dict(found.get(key)) for key in ("metrics", "cost", "seconds", "data"))
    metric = next((name for name in _MAIN if numbers.is_number(metrics.get(name))), None)
    return Row(
        id=path.name,
        verb=path.parent.parent.name,
        name=path.parent.name,
        status=status,
        metric=metric,
        value=metrics[metric] if metric else None,
        n=_number(data.get(metric.partition("/")[0])) if metric else None,
        parameters=_number(cost.get("parameters")),
        epochs=_number(found.get("epochs")),
        seconds=_number(spent.get("total")),
        started=found["started"] if isinstance(found.get("started"), str) else _from_id(path.name),
        path=str(path),
    )


def show(
    outputs: Path, limit: int = LIMIT, as_json: bool = False, verb: str | None = None, console: Console | None = None
) -> None:
    """Print the runs as a table, or as a JSON list."""
    console = console or paper()
    found, hidden = rows(outputs, limit, verb)
    if as_json:
        # In ASCII, which every locale has: a name is not spelled otherwise for a program.
        console.file.write(json.dumps([asdict(r) for r in found], indent=2) + "\n")
        return
    if not found:
        kind = f" {verb}" if verb else ""
        console.print(
            f"no{kind} runs in {outputs} yet; start one: bmx {verb or 'train'}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        return
    if not console.is_terminal:  # piped: nothing is cut to fit a width that nobody sees
        console = wide(console, max([100, *(len(r.name) + 90 for r in found)]))
    console.print(table(found))
    if hidden:
        console.print(f"and {hidden:,} more (limit=0 shows all)", style="dim", highlight=False)


def table(found: list[Row], now: datetime | None = None) -> TextTable:
    """The table of some runs; the least important columns are left out where there is no room."""
    from rich.text import Text

    from bmx.runs.report.table import TextTable

    now = now or datetime.now(UTC)
    drawn = TextTable(gap=1)
    drawn.add_column("id")
    drawn.add_column("verb")
    drawn.add_column("name", wraps=True, hyphens=True)
    drawn.add_column("status")
    for heading, spare in (("result", 0), ("params", 2), ("epochs", 4), ("time", 3), ("when", 1)):
        drawn.add_column(heading, right=True, spare=spare)
    for r in found:
        drawn.add_row(
            Text(r.id),
            Text(r.verb),
            r.name,
            Text(r.status, _STYLES.get(r.status, "dim")),
            Text(main_metric(r)),
            numbers.short(r.parameters),
            numbers.whole(r.epochs),
            numbers.clock(r.seconds),
            Text(ago(r.started, now), "dim"),
        )
    return drawn


def main_metric(r: Row) -> str:
    """A run's main metric: "97.4 %" for test accuracy; any other is named: "rmse 0.123", "val 95.1 %"."""
    if r.metric is None:
        return numbers.MISSING
    split, _, name = r.metric.partition("/")
    before = "" if split == "test" else f"{split} "
    metric = named(name)
    value = numbers.measured(metric, r.value, r.n, digits=3)
    return before + value if metric.percent else f"{before}{name} {value}"


def ago(started: str | None, now: datetime) -> str:
    """How long ago an ISO 8601 time was: "now", "3 min", "2 h", "5 d"; after 30 days the date."""
    try:
        then = datetime.fromisoformat(started or "")
    except ValueError:
        return numbers.MISSING
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    passed = (now - then).total_seconds()
    if passed < 60:
        return "now"
    for limit, length, unit in ((3600, 60, "min"), (86400, 3600, "h"), (30 * 86400, 86400, "d")):
        if passed < limit:
            return f"{int(passed // length)} {unit} ago"
    return f"{then.astimezone(UTC):%Y-%m-%d}"


def _from_id(run_id: str) -> str | None:
    try:
        return datetime.fromtimestamp(stamp.to_ticks(run_id) // 65536, UTC).isoformat()
    except ValueError:
        return None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> Any:
    return value if numbers.is_number(value) else None
