"""Report of ``bmx bench -m``: cost against the swept keys, such as depth and width."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmx.files.shown import shown
from bmx.runs.report import numbers
from bmx.runs.report.bench import milliseconds
from bmx.runs.report.terminal import wide
from bmx.runs.sweep_jobs import done_jobs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bmx.runs.report.table import TextTable

Value = float | str


@dataclass(frozen=True)
class BenchPoint:
    """One job: its values of the swept keys, and its result."""

    chosen: dict[str, Value]
    costs: dict[str, float]


def report(sweep: Path, _: object = None) -> None:
    """Print a row for each job of a sweep and draw ``plots/cost.png``, if there is anything to compare."""
    from rich.text import Text

    found = points(sweep)
    keys = swept(found)
    console = wide()
    if len(found) < 2 or not keys:
        return
    console.print()
    console.print(Text(f"cost against {' and '.join(map(_short, keys))}", "bold"), soft_wrap=True)
    console.print()
    console.print(table(found, keys))
    file = sweep / "plots" / "cost.png"
    draw(found, keys, file)
    console.print()
    console.print(Text(f"  plot  {shown(file)}"), soft_wrap=True)


def points(sweep: Path) -> list[BenchPoint]:
    """The finished jobs of a sweep directory, in the order in which their values were chosen."""
    found = []
    for _, result in done_jobs(sweep):
        if result.get("verb") == "bench":
            found.append(BenchPoint(_chosen(result), _costs(result)))
    # Numbers before words.
    return sorted(found, key=lambda point: [(isinstance(v, str), v) for v in point.chosen.values()])


def swept(found: list[BenchPoint]) -> list[str]:
    """The keys that differ between jobs; that with the most numbers first, which makes the x axis."""
    keys = list(dict.fromkeys(key for point in found for key in point.chosen))
    values = {key: {point.chosen.get(key) for point in found} for key in keys}
    differing = [key for key in keys if len(values[key]) > 1]
    return sorted(differing, key=lambda key: (_numeric(values[key]), len(values[key])), reverse=True)


def table(found: list[BenchPoint], keys: list[str]) -> TextTable:
    """A row for each job."""
    from bmx.runs.report.table import TextTable

    drawn = TextTable(gap=1)
    ordered = sorted(keys)
    for key in ordered:
        drawn.add_column(_short(key), right=True)
    names = _names(found)
    for name in names:
        drawn.add_column(name, right=True)
    for point in found:
        said = [_say(point.chosen.get(key, "")) for key in ordered]
        drawn.add_row(*said, *(_formatter(name)(point.costs.get(name)) for name in names))
    return drawn


def draw(found: list[BenchPoint], keys: list[str], path: Path) -> None:
    """Draw each cost over the first key, a line for each combination of the others, as one PNG."""
    from bmx.runs.report.figure import drawing, head, place, text_width

    x, others = keys[0], keys[1:]
    names = _names(found)
    columns = min(2, len(names))
    rows = -(-len(names) // columns)
    groups = {_group(point, others) for point in found}
    panel, margin = 3.5, 1.0 + text_width(sorted(groups), 8.5)
    width, height = 0.85 + columns * (panel + margin) - 0.85, 0.9 + 2.9 * rows
    with drawing(path, width, height) as figure:
        head(figure, _title(found, keys), f"{len(found)} models")
        for number, name in enumerate(names):
            row, column = divmod(number, columns)
            left, bottom = 0.85 + column * (panel + margin), 0.6 + (rows - 1 - row) * 2.9
            axes = place(figure, left, bottom, width - left - panel, height - bottom - 1.95)
            _panel(axes, found, x, others, name)


def _panel(axes: Axes, found: list[BenchPoint], x: str, others: list[str], name: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    from bmx.runs.report.figure import BLUE, FAINT, ORANGE, PALE_BLUE, SOFT

    places = _places(found, x)
    lines: dict[str, list[tuple[float, float]]] = {}
    for point in found:
        if x in point.chosen and numbers.is_number(point.costs.get(name)):
            lines.setdefault(_group(point, others), []).append((places[_say(point.chosen[x])], point.costs[name]))
    colours = [BLUE, ORANGE, SOFT, PALE_BLUE, "#6a994e", "#8e5a9b"]
    ends: list[tuple[str, str, tuple[float, float]]] = []
    for number, (group, line) in enumerate(lines.items()):
        xs, ys = zip(*sorted(line), strict=True)
        colour = colours[number % len(colours)]
        axes.plot(xs, ys, color=colour, marker="o", markersize=3.5, clip_on=False)
        ends.append((group, colour, (xs[-1], ys[-1])))
    values = [y for line in lines.values() for _, y in line]
    axes.set_title(name, loc="left", fontsize=9.5)
    axes.set_xlabel(_short(x))
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    if values and min(values) > 0 and max(values) / min(values) > 20:
        axes.set_yscale("log")
        few = max(values) / min(values) < 1000
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif values:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _formatter(name)(y)))
    if _is_log(places):
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(list(places.values()), list(places))
    if len(lines) > 1:
        _name_lines(axes, ends)


def _name_lines(axes: Axes, ends: list[tuple[str, str, tuple[float, float]]]) -> None:
    """Write what each line is at its end, far enough apart to be read."""
    heights = {said: axes.transAxes.inverted().transform(axes.transData.transform(end))[1] for said, _, end in ends}
    taken = -1.0
    for said, colour, _ in sorted(ends, key=lambda end: heights[end[0]]):
        taken = max(heights[said], taken + 0.085)
        axes.text(1.03, taken, said, transform=axes.transAxes, color=colour, va="center", fontsize=8.5)


def _group(point: BenchPoint, keys: list[str]) -> str:
    return ", ".join(f"{_short(key)} {_say(point.chosen.get(key, ''))}" for key in keys)


def _places(found: list[BenchPoint], x: str) -> dict[str, float]:
    """Where each value of the x axis stands: at its number, or one after the other where it is a word."""
    values = {point.chosen[x] for point in found if x in point.chosen}
    if all(isinstance(value, float) for value in values):
        return {_say(value): float(value) for value in sorted(values)}
    return {_say(value): float(number) for number, value in enumerate(sorted(values, key=str))}


def _is_log(places: dict[str, float]) -> bool:
    at = list(places.values())
    return len(at) > 2 and min(at) > 0 and max(at) / min(at) >= 4


def _title(found: list[BenchPoint], keys: list[str]) -> str:
    macs = [point.costs["MACs"] for point in found if point.costs.get("MACs")]
    by = " and ".join(map(_short, keys))
    if macs and min(macs) > 0 and max(macs) > min(macs):
        return f"From {numbers.short(min(macs))} to {numbers.short(max(macs))} MACs by {by}"
    return f"Cost against {by}"


def _names(found: list[BenchPoint]) -> list[str]:
    return list(dict.fromkeys(name for point in found for name in point.costs))


def _costs(result: dict[str, Any]) -> dict[str, float]:
    """The numbers of the one model that a job measured, by what they are called."""
    model = result["bench"]["subjects"][0]
    costs: dict[str, Any] = {"parameters": model["cost"].get("parameters"), "MACs": model["cost"].get("macs")}
    if model["memory"]:
        memory = model["memory"][-1]
        costs[f"memory to train, batch {memory['batch_size']}"] = memory.get("training")
    for timing in model["timings"]:
        if timing["engine"] == model["engines"][0]["engine"]:
            costs[f"latency, batch {timing['batch_size']}"] = timing.get("median")
    return {name: value for name, value in costs.items() if numbers.is_number(value)}


def _chosen(result: dict[str, Any]) -> dict[str, Value]:
    chosen: dict[str, Value] = {}
    for word in result.get("overrides") or []:
        key, _, value = str(word).partition("=")
        try:
            number = float(value)
        except ValueError:
            chosen[key] = value
        else:
            chosen[key] = number if math.isfinite(number) else value
    return chosen


def _numeric(values: set[Value | None]) -> bool:
    return all(isinstance(value, float) for value in values)


def _formatter(name: str) -> Callable[[Any], str]:
    if name.startswith("latency"):
        return milliseconds
    return numbers.size if name.startswith("memory") else numbers.short


def _short(key: str) -> str:
    return key.rpartition(".")[2]


def _say(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else value
