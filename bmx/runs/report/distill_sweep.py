"""Table of a distillation sweep: the gain over the same student alone, as means over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bmx.metrics.standard import MAIN
from bmx.runs.report import numbers
from bmx.runs.report.terminal import wide

if TYPE_CHECKING:
    from rich.console import Console


class SeedMean(Protocol):
    """A mean over seeds and the half width of its interval; None for one seed."""

    @property
    def value(self) -> float: ...
    @property
    def half(self) -> float | None: ...


@dataclass(frozen=True)
class ConfigurationLine:
    """One configuration: means over its runs, on the test set, in per cent, or as the RMSE is."""

    name: str
    runs: int
    teacher: SeedMean | None
    alone: SeedMean | None
    distilled: SeedMean | None
    gain: SeedMean | None
    agreement: SeedMean | None
    calibration: SeedMean | None


def show(lines: Sequence[ConfigurationLine], higher: bool, console: Console | None = None) -> None:
    """Print the table.

    Args:
        lines: in the order in which they are shown.
        higher: whether accuracies are compared; else errors, of which less is better.
        console: where to; the terminal if None.
    """
    from rich.text import Text

    from bmx.runs.report.table import TextTable

    console = wide(console)
    unit = f"{MAIN['classification'].said}, %" if higher else MAIN["regression"].said
    console.print()
    console.print(
        Text(f"the distilled student against the same one alone, on the test set ({unit})", "bold"), soft_wrap=True
    )
    console.print()
    table = TextTable(gap=1)
    more = ("agreement", "calibration error") if higher else ()
    table.add_column("", wraps=True)
    for heading in ("runs", "teacher", "alone", "distilled", "gain", *more):
        table.add_column(heading, right=True)
    for line in lines:
        cells = [_said(line.teacher, higher), _said(line.alone, higher), _said(line.distilled, higher)]
        cells += [_said(line.gain, higher, "+")]
        cells += [_said(line.agreement, higher), _said(line.calibration, higher)] if more else []
        pale = "" if _is_sure(line) else "dim"
        table.add_row(line.name or "as configured", str(line.runs), *cells, style=pale)
    console.print(table)
    console.print()
    for note in _notes(lines, higher):
        console.print(Text(note, "dim"), soft_wrap=True)


def _said(mean: SeedMean | None, per_cent: bool, sign: str = "") -> str:
    """``97.2 ± 0.3``; without an interval where there is one value, or the same one each time."""
    if mean is None:
        return numbers.MISSING
    value = f"{mean.value:{sign}.1f}" if per_cent else f"{mean.value:{sign}.4g}"
    half = "" if not mean.half else f" ± {mean.half:.1f}" if per_cent else f" ± {mean.half:.2g}"
    return value + half


def _is_sure(line: ConfigurationLine) -> bool:
    """Whether the interval of the gain leaves out zero."""
    return line.gain is not None and line.gain.half is not None and abs(line.gain.value) > line.gain.half


def _notes(lines: Sequence[ConfigurationLine], higher: bool) -> list[str]:
    if all(line.runs < 2 for line in lines):
        return ["one seed each: a gain may be luck; add seeds=3"]
    better = "" if higher else "; less is better"
    notes = [f"means over seeds ± 95 % intervals, the gain's over the differences seed by seed{better}"]
    if not all(map(_is_sure, lines)):
        notes.append("pale: the interval of the gain has zero in it")
    return notes
