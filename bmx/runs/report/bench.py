"""Report of `bmx bench`: terminal tables, and a plot of the latencies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmx.files.shown import shown
from bmx.metrics.standard import main_of
from bmx.runs.report import numbers
from bmx.runs.report.terminal import wide

if TYPE_CHECKING:
    from rich.console import Console

    from bmx.runs.report.table import TextTable

# Layers that are shown; the largest where there are more.
_LAYERS = 24


def show(result: dict[str, Any], run: Path, console: Console | None = None) -> None:
    """Print the tables of a measurement: cost, memory, latency, and the layers where it is of one model."""
    from rich.text import Text

    console = wide(console)
    console.print()
    console.print(Text(title(result), "bold"), soft_wrap=True)
    console.print(Text(conditions(result), "dim"), soft_wrap=True)
    models = result["bench"]["subjects"]
    found = [cost_table(models), latency_table(models, result["bench"]["batch_sizes"]), memory_table(models)]
    if len(models) == 1:
        found.append(layer_table(models[0]))
    for table in found:
        if table.row_count:
            console.print()
            console.print(table)
    for model in models:
        for said in _notes(model):
            console.print(Text(f"{model['name']}: {said}", "yellow"), soft_wrap=True)
    console.print()
    console.print(Text(f"  run  {shown(run)}"), soft_wrap=True)


def title(result: dict[str, Any]) -> str:
    """The fact in one line: which models on which data."""
    models = result["bench"]["subjects"]
    shape = "×".join(map(str, models[0]["input_shape"]))
    names = ", ".join(model["name"] for model in models[:3]) + (" ..." if len(models) > 3 else "")
    return f"{names}: what it costs on {models[0]['data']} ({shape})"


def conditions(result: dict[str, Any]) -> str:
    """Where it was measured: device, threads, processor and its flags of note."""
    cpu = result.get("cpu") or {}
    flags = " ".join(cpu.get("flags") or [])
    threads = numbers.counted(int(result.get("threads") or 1), "thread")
    on = str(result.get("device") or "cpu")
    return f"{on}, {threads}, {cpu.get('model') or 'unknown processor'} ({flags})"


def cost_table(models: list[dict[str, Any]]) -> TextTable:
    """Parameters, MACs and bytes: a row for each model."""
    table = _table("model", "parameters", "trainable", "frozen", "nonzero", "MACs", "FLOPs", "file")
    for model in models:
        cost = model["cost"]
        macs = cost.get("macs")
        table.add_row(
            model["name"],
            *(numbers.whole(cost.get(f"{kind}parameters")) for kind in ("", "trainable_", "frozen_", "nonzero_")),
            numbers.short(macs),
            numbers.short(2 * macs) if numbers.is_number(macs) else numbers.MISSING,
            numbers.size(cost.get("bytes")),
        )
    return table


def latency_table(models: list[dict[str, Any]], sizes: list[int]) -> TextTable:
    """Latency and throughput: a row for each model on each engine."""
    table = _table("model", "engine")
    for size in sizes:
        table.add_column(f"batch {size}: p10", right=True)
        table.add_column("median", right=True)
        table.add_column("p99", right=True)
        table.add_column("samples/s", right=True)
    known = any("metrics" in engine for model in models for engine in model["engines"])
    table.add_column("file", right=True)
    if known:
        table.add_column("test", right=True)
    for model in models:
        for engine in model["engines"]:
            cells = []
            for size in sizes:
                timing = _timing(model, engine["engine"], size)
                cells += [milliseconds(timing.get(q)) for q in ("p10", "median", "p99")]
                cells.append(numbers.short(timing.get("throughput")))
            cells.append(numbers.size(engine.get("bytes")))
            table.add_row(model["name"], engine["engine"], *cells, *([_score(engine)] if known else []))
    return table


def memory_table(models: list[dict[str, Any]]) -> TextTable:
    """Memory predicted and measured: a row for each model at each batch size."""
    table = _table("memory", "batch", "weights", "forward", "measured", "training step", "measured")
    for model in models:
        for memory in model["memory"]:
            sizes = [memory.get(k) for k in ("weights", "forward", "forward_measured", "training", "training_measured")]
            table.add_row(model["name"], str(memory["batch_size"]), *map(numbers.size, sizes))
    return table


def layer_table(model: dict[str, Any]) -> TextTable:
    """Where the cost lies, layer by layer; the largest where there are many."""
    layers = model["layers"]
    table = _table("layer", "kind", "output", "parameters", "MACs", "output size", "time")
    shown = layers
    if len(layers) > _LAYERS:
        weight = sorted(layers, key=lambda layer: (layer["macs"], layer["parameters"], layer["bytes"]), reverse=True)
        least = weight[:_LAYERS]
        shown = [layer for layer in layers if layer in least]
    for layer in shown:
        table.add_row(
            layer["name"] or "(itself)",
            layer["kind"],
            "×".join(map(str, layer["output"])),
            numbers.whole(layer["parameters"]),
            numbers.short(layer["macs"]),
            numbers.size(layer["bytes"]),
            numbers.percent(layer.get("share")),
        )
    if len(layers) > len(shown):
        table.add_row(f"and {len(layers) - len(shown)} smaller ones")
    return table


def milliseconds(seconds: Any) -> str:
    """A latency: 0.112 ms, 26.5 ms, 1.2 s."""
    if not numbers.is_number(seconds):
        return numbers.MISSING
    return f"{numbers.figures(1000 * seconds, 3)} ms" if seconds < 1 else f"{numbers.figures(seconds, 3)} s"


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw the median latency of every model on every engine, a panel for each batch size; lines span p10 to p99."""
    from bmx.runs.report.figure import BLUE, FAINT, INK, SOFT, drawing, head, place, text_width

    models, sizes = result["bench"]["subjects"], result["bench"]["batch_sizes"]
    rows = [(model, engine["engine"]) for model in models for engine in model["engines"]]
    if not any(model["timings"] for model in models):
        return
    labels = [f"{model['name']}  {engine}" if len(models) > 1 else engine for model, engine in rows]
    left, panel, gap = 0.35 + text_width(labels, 9), 3.0, 1.1
    width = max(left + len(sizes) * panel + (len(sizes) - 1) * gap + 0.95, 6.4)
    height = 1.6 + 0.36 * len(rows)
    with drawing(path, width, height) as figure:
        head(figure, _fastest(models, sizes[0]), conditions(result))
        for number, size in enumerate(sizes):
            start = left + number * (panel + gap)
            axes = place(figure, start, 0.55, width - start - panel, 1.0)
            farthest = longest = 0.0
            for y, (model, engine) in enumerate(rows):
                timing = _timing(model, engine, size)
                if not timing:
                    axes.text(0, y, " not measured", va="center", color=SOFT, fontsize=8.5)
                    continue
                p10, median, p99 = (1000 * timing[q] for q in ("p10", "median", "p99"))
                axes.barh(y, median, height=0.62, color=BLUE)
                axes.plot([p10, p99], [y, y], color=INK, linewidth=1)
                aside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 8.5}
                axes.text(1.02, y, milliseconds(timing["median"]), color=INK, **aside)
                farthest, longest = max(farthest, median), max(longest, p99)
            axes.set_ylim(len(rows) - 0.5, -0.5)
            # One call that was held up for long must not squeeze all the others into a corner.
            axes.set_xlim(0, min(1.05 * longest, 2 * farthest) or 1)
            axes.set_yticks(range(len(rows)), labels if number == 0 else [""] * len(rows))
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="x", color=FAINT, linewidth=0.7)
            axes.set_xlabel("ms")
            axes.set_title(f"batch {size}", loc="left", fontsize=9.5)


def _fastest(models: list[dict[str, Any]], size: int) -> str:
    timings = [(t["median"], m["name"], t["engine"]) for m in models for t in m["timings"] if t["batch_size"] == size]
    if not timings:
        return "Latency"
    best, name, engine = min(timings)
    who = f"{name} on {engine}" if len(models) > 1 else engine
    return f"{who} takes {milliseconds(best)} for a batch of {size}"


def _timing(model: dict[str, Any], engine: str, size: int) -> dict[str, Any]:
    found = (t for t in model["timings"] if t["engine"] == engine and t["batch_size"] == size)
    return next(found, {})


def _score(engine: dict[str, Any]) -> str:
    metrics = engine.get("metrics") or {}
    metric = main_of(metrics)
    if metric is None or not numbers.is_number(metrics[metric.name]):
        return numbers.MISSING
    value = numbers.measured(metric, metrics[metric.name], 10_000, digits=3)
    return value if metric.percent else f"{metric.name} {value}"


def _notes(model: dict[str, Any]) -> Iterator[str]:
    if model.get("note"):
        yield model["note"]
    for failure in model["failures"]:
        yield f"{failure['engine']}: {failure['reason']}"


def _table(*headings: str) -> TextTable:
    from bmx.runs.report.table import TextTable

    table = TextTable(gap=1)
    for number, heading in enumerate(headings):
        text = number == 0 or heading in ("engine", "kind")
        table.add_column(heading, right=not text, wraps=text, hyphens=text)
    return table
