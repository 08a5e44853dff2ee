"""Plots layer sensitivity: the loss of score when a single layer is compressed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import FuncFormatter, NullFormatter

from bmx.runs.report import numbers
from bmx.runs.report.figure import BLUE, FAINT, INK, ORANGE, PALE_BLUE, SOFT, drawing, head, place, text_width

_COLOURS = (PALE_BLUE, BLUE, INK, ORANGE)
# Below this a predicted rise of the loss is nothing, and a logarithmic axis has to begin somewhere.
_FLOOR = 1e-6


def draw(rows: Sequence[dict[str, Any]], path: Path, unit: str = "points") -> None:
    """Draw one PNG: layers from top to bottom, the drop of the score where it was measured, the predicted loss beside.

    Args:
        rows: ``layer``, ``ratio``, ``predicted_loss_rise`` and ``score_drop`` (None if not measured) of each layer and
            ratio.
        path: the PNG to write; nothing is written if there are no rows.
        unit: of the score.
    """
    if not rows:
        return
    layers = list(dict.fromkeys(str(row["layer"]) for row in rows))
    ratios = sorted({float(row["ratio"]) for row in rows}, reverse=True)
    measured = any(row.get("score_drop") is not None for row in rows)
    panels = ["score_drop", "predicted_loss_rise"] if measured else ["predicted_loss_rise"]
    left, panel, gap = 0.35 + text_width(layers, 9), 3.4, 0.5
    width = left + len(panels) * panel + (len(panels) - 1) * gap + 0.35
    height = 1.75 + 0.26 * len(layers)
    with drawing(path, width, height) as figure:
        head(figure, *_title(rows, unit, measured))
        for number, key in enumerate(panels):
            start = left + number * (panel + gap)
            axes = place(figure, start, 0.6, width - start - panel, 1.05)
            for ratio, colour in zip(ratios, _shades(len(ratios)), strict=True):
                at = {str(r["layer"]): r.get(key) for r in rows if float(r["ratio"]) == ratio}
                points = [(y, float(x)) for y, layer in enumerate(layers) if numbers.is_number(x := at.get(layer))]
                xs = [max(x, _FLOOR) if key == "predicted_loss_rise" else x for _, x in points]
                axes.plot(xs, [y for y, _ in points], "o", color=colour, markersize=5, label=f"{100 * ratio:g} %")
            axes.set_ylim(len(layers) - 0.5, -0.5)
            axes.set_yticks(range(len(layers)), layers if number == 0 else [""] * len(layers))
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="both", color=FAINT, linewidth=0.7)
            if key == "predicted_loss_rise":
                axes.set_xscale("log")
                axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.0e}" if x < 0.001 else f"{x:g}"))
                axes.xaxis.set_minor_formatter(NullFormatter())
                axes.set_xlabel("predicted rise of the loss, nats")
            else:
                axes.axvline(0, color=SOFT, linewidth=0.7)
                axes.set_xlabel(f"lost, {unit}")
            if number == 0:
                axes.legend(
                    loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(ratios), frameon=False, fontsize=8.5,
                    handletextpad=0.1, columnspacing=1.0, borderaxespad=0.2,
                )  # fmt: skip


def _shades(count: int) -> list[str]:
    """A colour for each ratio, the smallest the darkest; they repeat where there are very many."""
    if count == 1:
        return [BLUE]
    return [_COLOURS[i % len(_COLOURS)] for i in range(count)]


def _title(rows: Sequence[dict[str, Any]], unit: str, measured: bool) -> tuple[str, str]:
    said = "one layer at a time keeps this share of its weights, without fine-tuning"
    if measured:
        worst = max((r for r in rows if r.get("score_drop") is not None), key=lambda r: r["score_drop"])
        lost = f"{numbers.figures(worst['score_drop'], 2)} {unit}"
        return f"{worst['layer']} matters most: {lost} at {100 * worst['ratio']:g} % of its weights", said
    worst = max(rows, key=lambda r: r["predicted_loss_rise"])
    return f"{worst['layer']} is predicted to matter most", said
