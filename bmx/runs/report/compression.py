"""Report of a compression: before/after table, layer table, and a plot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bmx.files.shown import shown
from bmx.metrics.standard import main_of
from bmx.runs.report import numbers
from bmx.runs.report.bench import milliseconds
from bmx.runs.report.interval import chance, mcnemar
from bmx.runs.report.summary import show as show_summary
from bmx.runs.report.terminal import wide

if TYPE_CHECKING:
    from rich.console import Console

# Costs of a model: key in a result, label, and format.
COSTS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("parameters", "parameters", numbers.whole),
    ("nonzero_parameters", "not zero", numbers.whole),
    ("macs", "MACs", numbers.short),
    ("bytes", "size of the weights", numbers.size),
)
# Layers that are listed on the terminal; the largest where there are more. result.json has all.
_LAYERS = 24


class ComparisonRow(NamedTuple):
    """One line of the comparison: both values as text, and their ratio."""

    what: str
    before: str
    after: str
    change: str
    ratio: float | None = None


def rows(result: dict[str, Any]) -> list[ComparisonRow]:
    """The comparison, line by line; what was not measured is not there."""
    found = result["compression"]
    before, after = found["before"], found["after"]
    n, split = found.get("samples"), found.get("split", "test")
    lines = list(_scores(before["metrics"], after["metrics"], n, split))
    if numbers.is_number(found.get("agreement")):
        lines.append(ComparisonRow("same answer", "", numbers.percent(found["agreement"], n), ""))
    if right := found.get("only_right"):
        before_only, after_only = right["before"], right["after"]
        certainty = chance(mcnemar(before_only, after_only))
        only = "right where the other is wrong"
        lines.append(ComparisonRow(only, numbers.whole(before_only), numbers.whole(after_only), certainty))
    for key, label, show in COSTS:
        lines += _ratio(label, before["cost"].get(key), after["cost"].get(key), show)
    for timing in before["timings"]:
        engine, size = timing["engine"], timing["batch_size"]
        other = timing_of(after, engine, size)
        lines += _ratio(f"{engine}, batch {size}", timing["median"], other.get("median"), milliseconds)
    return lines


def _scores(before: dict[str, float], after: dict[str, float], n: int | None, split: str) -> Iterator[ComparisonRow]:
    metric = main_of(before)
    if metric is None:
        return
    one, two = before[metric.name], after[metric.name]
    change = f"{100 * (two - one):+.2f} points" if metric.share else times(two / one) if one else ""
    said = [numbers.measured(metric, value, n) for value in (one, two)]
    yield ComparisonRow(f"{split} {metric.said}", said[0], said[1], change)


def _ratio(label: str, before: Any, after: Any, show: Any) -> Iterator[ComparisonRow]:
    if numbers.is_number(before) and numbers.is_number(after) and before > 0:
        ratio = after / before
        yield ComparisonRow(label, show(before), show(after), times(ratio), ratio)


def times(ratio: float) -> str:
    """ "12.3× less", "1.4× more": never a number that can be read both ways."""
    if ratio <= 0:
        return "nothing left"
    factor = 1 / ratio if ratio < 1 else ratio
    shown = f"{factor:.2f}" if factor < 10 else f"{factor:.1f}"
    return "the same" if shown == "1.00" else f"{shown}× {'less' if ratio < 1 else 'more'}"


def slower(result: dict[str, Any]) -> list[str]:
    """The engines and batch sizes that the compressed model is slower on, by more than a tenth."""
    found = result["compression"]
    said = []
    for timing in found["before"]["timings"]:
        other = timing_of(found["after"], timing["engine"], timing["batch_size"])
        if other and other["median"] > 1.1 * timing["median"]:
            factor = other["median"] / timing["median"]
            said.append(f"slower on {timing['engine']} at batch {timing['batch_size']}: {factor:.1f}×")
    return said


def show(result: dict[str, Any], run: Path, console: Console | None = None) -> None:
    """Print before and after, the layers, and where everything is."""
    from rich.text import Text

    from bmx.runs.report.table import TextTable

    if "compression" not in result:  # stopped or failed before there was something to weigh
        show_summary(result, run, console)
        return
    console = wide(console)
    console.print()
    console.print(Text(title(result), "bold"), soft_wrap=True)
    table = TextTable(gap=2)
    table.add_column("")
    for heading in ("before", "after", ""):
        table.add_column(heading, right=True)
    for row in rows(result):
        table.add_row(row.what, row.before, row.after, row.change)
    console.print(table)
    _show_layers(result["compression"]["layers"], console)
    for said in [*slower(result), *_failures(result["compression"])]:
        console.print(Text(said, "yellow"), soft_wrap=True)
    console.print()
    console.print(Text(f"  run   {shown(run)}"), soft_wrap=True)
    if (run / "plots").is_dir():
        names = ", ".join(sorted(p.stem for p in (run / "plots").glob("*.png")))
        console.print(Text(f"  plots {shown(run)}/plots  {names}"), soft_wrap=True)
    said = f"  next  bmx bench run={run.name},{Path(str(result.get('parent'))).parents[1].name}"
    console.print(Text(said), soft_wrap=True)


def title(result: dict[str, Any]) -> str:
    """The fact in one line: how much smaller or larger, at what cost."""
    found = result["compression"]
    one, two = found["before"]["cost"], found["after"]["cost"]
    smaller, sparser = (one[key] / max(1, two[key]) for key in ("bytes", "nonzero_parameters"))
    if smaller < 1.05 < sparser:
        head = f"{result.get('name')}: {sparser:.1f}× fewer weights that are not zero, in a file of the same size"
    else:
        head = f"{result.get('name')}: " + (f"{smaller:.1f}× smaller" if smaller >= 1 else f"{1 / smaller:.1f}× larger")
    before, after = found["before"]["metrics"], found["after"]["metrics"]
    metric = main_of(before)
    if metric is not None and metric.share:
        points = 100 * (after[metric.name] - before[metric.name])
        head += f", {points:+.2f} points of {metric.said}" if abs(points) >= 0.005 else f", the same {metric.said}"
    epochs = found.get("epochs")
    return f"{head} ({numbers.counted(epochs, 'epoch') + ' of' if epochs else 'no'} fine-tuning)"


def _show_layers(layers: list[dict[str, Any]], console: Console) -> None:
    from rich.text import Text

    from bmx.runs.report.table import TextTable

    if not layers:
        return
    shown = layers
    if len(layers) > _LAYERS:
        largest = sorted(layers, key=lambda layer: layer["before"], reverse=True)[:_LAYERS]
        shown = [layer for layer in layers if layer in largest]
    table = TextTable(gap=2)
    for number, heading in enumerate(("layer", "kind", "parameters", "after", "")):
        table.add_column(heading, right=number in (2, 3), wraps=number == 4)
    for layer in shown:
        table.add_row(
            layer["name"], layer["kind"], numbers.whole(layer["before"]), numbers.whole(layer["after"]), layer["note"]
        )
    console.print()
    console.print(table)
    if len(shown) < len(layers):
        console.print(Text(f"and {len(layers) - len(shown)} smaller layers, in result.json"), soft_wrap=True)


def _failures(found: dict[str, Any]) -> list[str]:
    return [
        f"{side}: not measured on {failure['engine']}: {failure['reason']}"
        for side in ("before", "after")
        for failure in found[side]["failures"]
    ]


def timing_of(side: dict[str, Any], engine: str, size: int) -> dict[str, Any]:
    """What was measured of one side of a comparison; empty if it was not."""
    found = (t for t in side["timings"] if t["engine"] == engine and t["batch_size"] == size)
    return next(found, {})


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw what is left of each cost, and of each layer's parameters, as fractions of the original."""
    from bmx.runs.report.figure import BLUE, FAINT, INK, PALE_BLUE, drawing, head, place, text_width

    costs = [row for row in rows(result) if row.ratio is not None]
    layers = [layer for layer in result["compression"]["layers"] if layer["before"] > 0]
    layers = sorted(sorted(layers, key=lambda layer: -layer["before"])[:_LAYERS], key=layers.index)
    labels = [row.what for row in costs], [layer["name"] for layer in layers]
    lefts = [0.35 + text_width(list(names), 9) for names in labels]
    panel, aside = 2.6, 1.15
    width = sum(lefts) + 2 * (panel + aside)
    height = 1.5 + 0.34 * max(len(costs), len(layers), 4)
    with drawing(path, width, height) as figure:
        head(figure, title(result), "what is left, as a fraction of the original; less is smaller or faster")
        start = lefts[0]
        axes = place(figure, start, 0.55, width - start - panel, 1.0)
        for y, row in enumerate(costs):
            assert row.ratio is not None
            axes.barh(y, row.ratio, height=0.62, color=BLUE)
            axes.text(1.02, y, row.change, va="center", fontsize=8.5, color=INK, transform=axes.get_yaxis_transform())
        longest = max([1.0, *(row.ratio for row in costs if row.ratio is not None)])
        axes.set_xlim(0, 1.02 * longest)
        axes.set_yticks(range(len(costs)), labels[0])
        axes.set_ylim(len(costs) - 0.5, -0.5)
        axes.set_title("cost", loc="left", fontsize=9.5)
        start = lefts[0] + panel + aside + lefts[1]
        other = place(figure, start, 0.55, width - start - panel, 1.0)
        for y, layer in enumerate(layers):
            ratio = layer["after"] / layer["before"]
            other.barh(y, ratio, height=0.62, color=PALE_BLUE)
            share = f"{numbers.short(layer['after'])} of {numbers.short(layer['before'])}"
            other.text(1.02, y, share, va="center", fontsize=8.5, color=INK, transform=other.get_yaxis_transform())
        other.set_xlim(0, 1.02)
        other.set_yticks(range(len(layers)), labels[1])
        other.set_ylim(max(len(layers), 1) - 0.5, -0.5)
        other.set_title("parameters of each layer", loc="left", fontsize=9.5)
        for each in (axes, other):
            each.tick_params(axis="y", length=0)
            each.axvline(1, color=FAINT, linewidth=0.9)
            each.grid(axis="x", color=FAINT, linewidth=0.7)
