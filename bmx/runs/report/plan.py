"""Report of `bmx train --plan`: estimated time, memory and disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bmx.runs.report import numbers
from bmx.runs.report.summary import Line
from bmx.runs.report.terminal import console as paper

if TYPE_CHECKING:
    from rich.console import Console


def show(planned: dict[str, Any], console: Console | None = None) -> None:
    """Print what a run would take, and a warning for what will not be enough."""
    from rich.text import Text

    console = console or paper()
    found = lines(planned)
    label = max(len(line.label) for line in found)
    value = max(len(line.value) for line in found)
    console.print(Text(title(planned), "bold"), soft_wrap=True)
    for line in found:
        said = Text.assemble(f"  {line.label:<{label}}  {line.value:<{value}}  ", (line.note, "dim"))
        said.rstrip()
        console.print(said, soft_wrap=True)
    for warning in planned["warnings"]:
        console.print(Text(f"  warning: {warning}", "bold red"), soft_wrap=True)
    console.print(Text("  nothing was written; leave --plan out to run it", "dim"), soft_wrap=True)


def title(planned: dict[str, Any]) -> str:
    """The fact in one line: how long it will take."""
    seconds = planned.get("seconds")
    takes = f"about {numbers.seconds(seconds['total'])}" if seconds else "does not fit into memory"
    return f"plan of {planned['name']} on {planned['data']['name']}: {takes}"


def lines(planned: dict[str, Any]) -> list[Line]:
    """What there is to say, one thing a line."""
    cost, memory, seconds, disk = (planned[key] for key in ("cost", "memory", "seconds", "disk"))
    parameters = numbers.whole(cost["parameters"])
    frozen = cost["parameters"] - cost["trainable_parameters"]
    found = [
        Line("cost", "parameters", parameters, f"{numbers.whole(frozen)} of them frozen" if frozen else ""),
        Line("cost", "MACs", numbers.short(cost["macs"]), "for one example, forward"),
    ]
    parts = [("weights", memory["weights"]), ("step", memory["step"]), ("optimiser", memory["optimizer"])]
    said = ", ".join(f"{name} {numbers.size(size)}" for name, size in [*parts, ("data", memory["data"])] if size)
    found.append(
        Line("memory", "memory", numbers.size(memory["total"]), f"{said}; {numbers.size(memory['free'])} free")
    )
    if seconds:
        epochs = f"{numbers.counted(planned['epochs'], 'epoch')} of {numbers.seconds(seconds['epoch'])}"
        steps = (
            f"{numbers.counted(seconds['steps_measured'], 'step')} of {numbers.figures(1000 * seconds['step'], 3)} ms"
        )
        found.append(Line("time", "time", numbers.seconds(seconds["total"]), f"{epochs}, from {steps}"))
    threads = numbers.counted(planned["threads"], "thread")
    device = planned["device"] if planned["device"] != "cpu" else f"cpu, {threads}"
    found.append(
        Line(
            "time",
            "steps",
            numbers.whole(planned["steps"]),
            f"of {planned['batch_size']:,} samples, on {device}, {planned['precision']}",
        )
    )
    found.append(Line("disk", "disk", numbers.size(disk["needed"]), f"{numbers.size(disk['free'])} free"))
    found += [
        Line("found", name, numbers.figures(value), "found by a trial") for name, value in planned["found"].items()
    ]
    return found
