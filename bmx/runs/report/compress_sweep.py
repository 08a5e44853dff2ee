"""Report of ``bmx compress -m``: accuracy against cost, Pareto-dominated compressions, and commands to reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmx.errors import UsageError
from bmx.files.shown import shown
from bmx.runs import result as results
from bmx.runs.report import numbers, pareto
from bmx.runs.report.bench import milliseconds
from bmx.runs.report.commands import command
from bmx.runs.report.terminal import wide
from bmx.runs.sweep_jobs import done_jobs, told_apart

if TYPE_CHECKING:
    from bmx.runs.report.table import TextTable

# Overrides that a sweep adds to each job; the command of a single compression omits them.
_OF_SWEEPS = ("plots=false", "engines=[]")


def show(found: list[dict[str, Any]], sweep: Path) -> None:
    """Print a row for each of the :func:`points` of a sweep, and draw ``plots/pareto.png``."""
    from rich.text import Text

    console = wide(width=200)
    beaten = pareto.dominated([(_bytes(p), pareto.score(p["after"]) or 0.0) for p in found])
    console.print()
    console.print(Text("accuracy against size: what another beats in both is marked ×", "bold"), soft_wrap=True)
    console.print()
    console.print(table(found, beaten))
    file = sweep / "plots" / "pareto.png"
    pareto.draw(found, file, "test" if found[0]["split"] == "test" else "validation")
    console.print()
    for point, pale in sorted(zip(found, beaten, strict=True), key=lambda pair: (pair[1], _bytes(pair[0]))):
        console.print(Text(f"  {point['name']}:  {point['command']}", "dim" if pale else ""), soft_wrap=True)
    console.print(Text(f"  plot  {shown(file)}"), soft_wrap=True)


def points(sweep: Path) -> list[dict[str, Any]]:
    """The finished compressions of a sweep directory: each with its name, its command and what was measured."""
    found, flags = [], _flags(sweep)
    for folder, result in done_jobs(sweep):
        if "compression" in result:
            words = [str(word) for word in result.get("overrides") or [] if str(word) not in _OF_SWEEPS]
            point: dict[str, Any] = {"parent": str(result["parent"]), "words": words}
            point |= {"command": command("compress", flags, words), "run": str(folder)}
            found.append(point | {key: result["compression"][key] for key in ("before", "after", "split")})
    for point, differing in zip(found, told_apart([point["words"] for point in found]), strict=True):
        said = [word.removeprefix("compression.").removeprefix("compression=") for word in differing]
        point["name"] = " ".join(said) or Path(point["run"]).name
    return found


def _flags(sweep: Path) -> list[str]:
    """The flags of every job of the sweep, such as ``--config-dir=...``."""
    try:
        return [str(flag) for flag in results.read(sweep).get("flags") or []]
    except UsageError:  # a sweep of Hydra's own sweeper
        return []


def table(found: list[dict[str, Any]], beaten: list[bool]) -> TextTable:
    """A row for the original and for each compression, the smallest first."""
    from bmx.runs.report.table import TextTable

    drawn = TextTable(gap=1)
    drawn.add_column("")
    drawn.add_column("compression", wraps=True)
    timings = [(t["engine"], t["batch_size"]) for t in found[0]["after"]["timings"]]
    headings = [found[0]["split"], "change", "parameters", "not zero", "MACs", "size"]
    for heading in (*headings, *(f"{engine}, {size}" for engine, size in timings)):
        drawn.add_column(heading, right=True)
    drawn.add_row("", "original", *_cells(found[0]["before"], found[0]["before"], timings))
    for point, pale in sorted(zip(found, beaten, strict=True), key=lambda pair: _bytes(pair[0])):
        cells = _cells(point["after"], point["before"], timings)
        drawn.add_row("×" if pale else "", point["name"], *cells, style="dim" if pale else "")
    return drawn


def _cells(side: dict[str, Any], before: dict[str, Any], timings: list[tuple[str, int]]) -> list[str]:
    one, two = pareto.score(before), pareto.score(side)
    change = f"{two - one:+.2f}" if one is not None and two is not None and side is not before else ""
    cost = side["cost"]
    times = {(t["engine"], t["batch_size"]): t.get("median") for t in side["timings"]}
    return [
        numbers.figures(two, 4),
        change,
        numbers.whole(cost.get("parameters")),
        numbers.whole(cost.get("nonzero_parameters")),
        numbers.short(cost.get("macs")),
        numbers.size(cost.get("bytes")),
        *(milliseconds(times.get(key)) for key in timings),
    ]


def _bytes(point: dict[str, Any]) -> float:
    return float(point["after"]["cost"]["bytes"])
