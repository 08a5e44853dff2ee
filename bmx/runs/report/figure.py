"""Common matplotlib style and layout of all plots, with the finding as the title."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg  # not pyplot: half the import time, and no global state
from matplotlib.figure import Figure

INK = "#22272e"
SOFT = "#6b7480"
FAINT = "#dfe3e8"
BLUE = "#2f6690"
PALE_BLUE = "#b9cfe0"
ORANGE = "#cf6a32"

DPI = 150
_LOOK: Any = {
    "font.family": ["sans-serif"],
    "font.size": 9.0,
    "text.color": INK,
    "text.usetex": False,
    "text.parse_math": False,  # a class may be called "$1 to $2"
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.7,
    "axes.grid": False,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelsize": 9.0,
    "axes.formatter.useoffset": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.bbox": "standard",
    "path.simplify": True,
}


@contextmanager
def drawing(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure of so many inches, saved as PNG at 150 dots per inch where the block ends without an error."""
    with matplotlib.rc_context(_LOOK), warnings.catch_warnings():
        # A label in a script that the font lacks is drawn as boxes; no reason to disturb a run.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=DPI)


def head(figure: Figure, title: str, subtitle: str = "", left: float = 0.25) -> None:
    """Write the fact at the top left, ``left`` inches from the edge, and under it what it means."""
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - 0.18 / height, title, fontsize=12, fontweight="bold", va="top", ha="left")
    if subtitle:
        figure.text(left / width, 1 - 0.43 / height, subtitle, fontsize=9, color=SOFT, va="top", ha="left")


def place(figure: Figure, left: float, bottom: float, right: float, top: float) -> Axes:
    """Axes whose edges are so many inches from the edges of the figure."""
    width, height = figure.get_size_inches()
    box = (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    return figure.add_axes(box)


def text_width(labels: list[str], size: float) -> float:
    """About how many inches the longest of some labels takes at a font size in points."""
    # Wide scripts take a full em, the Latin alphabet of DejaVu Sans a little over half of one.
    ems = (sum(1.0 if ord(c) > 0x2E80 else 0.62 for c in label) for label in labels)
    return max(ems, default=0.0) * size / 72
