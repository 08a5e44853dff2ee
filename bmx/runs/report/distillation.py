"""Report of a distillation: terminal table and plot of teacher, student alone and distilled student."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmx.metrics.standard import MAIN
from bmx.runs.report import numbers, summary
from bmx.runs.report.bench import milliseconds
from bmx.runs.report.interval import ALPHA, chance, mcnemar, wilson
from bmx.runs.report.terminal import wide

if TYPE_CHECKING:
    from rich.console import Console

    from bmx.runs.report.table import TextTable

_SCORE, _ERROR = MAIN["classification"], MAIN["regression"]


def show(result: dict[str, Any], run: Path, console: Console | None = None) -> None:
    """Print the summary of a distilled student, then teacher, student alone and student distilled side by side."""
    from rich.text import Text

    summary.show(result, run, console)
    comparison = result.get("distillation")
    if not comparison:
        return
    console = wide(console)
    console.print()
    console.print(Text(title(comparison), "bold"), soft_wrap=True)
    console.print(table(comparison))
    for line, doubt in verdict(comparison):
        console.print(Text(line, "yellow" if doubt else ""), soft_wrap=True)
    for line in left_out_lines(comparison):
        console.print(Text(line), soft_wrap=True)


def title(comparison: dict[str, Any]) -> str:
    """The fact in one line: how much better the student is than alone, and how far from its teacher."""
    rows = {row["role"]: row for row in comparison["rows"]}
    distilled, teacher, alone = rows["distilled"], rows["teacher"], rows.get("alone")
    if "errors" not in distilled:
        against = f", {_error(alone)} alone" if alone else ""
        return f"{_ERROR.said} {_error(distilled)} distilled{against}, {_error(teacher)} of the teacher"
    against = f", {alone['errors']:,} alone" if alone else ""
    smaller = teacher["parameters"] / max(1, distilled["parameters"])
    size = f"; {numbers.figures(smaller, 2)} times fewer parameters" if smaller > 1.05 else ""
    return (
        f"{distilled['errors']:,} errors in {comparison['n']:,} distilled{against}, "
        f"{teacher['errors']:,} of the teacher{size}"
    )


def table(comparison: dict[str, Any]) -> TextTable:
    """A row for each teacher, the student alone and the distilled one."""
    from bmx.runs.report.table import TextTable

    found = TextTable(gap=1)
    classes = any("errors" in row for row in comparison["rows"])
    score = (_SCORE.said, "95 % interval", "agreement", "calibration error") if classes else (_ERROR.said,)
    for number, heading in enumerate(("", *score, "parameters", "MACs", "size", "batch 1", "batch 256")):
        found.add_column(heading, right=bool(number), wraps=not number)
    n = comparison["n"]
    for row in comparison["rows"]:
        found.add_row(
            row["name"],
            *(_scores(row, n) if classes else (_error(row),)),
            numbers.whole(row["parameters"]),
            numbers.short(row["macs"]),
            numbers.size(row["bytes"]),
            *(milliseconds((row.get("latency") or {}).get(size, {}).get("median")) for size in ("1", "256")),
        )
    return found


def _error(row: dict[str, Any]) -> str:
    return numbers.measured(_ERROR, row["metrics"].get(_ERROR.name))


def _scores(row: dict[str, Any], n: int) -> tuple[str, str, str, str]:
    low, high = wilson(n - row["errors"], n)
    return (
        numbers.measured(_SCORE, row["metrics"][_SCORE.name], n),
        f"{numbers.percent(low, n)[:-2]} – {numbers.percent(high, n)}",
        numbers.percent(row["agreement"], n),
        numbers.percent(row["calibration_error"], n),
    )


def verdict(comparison: dict[str, Any]) -> list[tuple[str, bool]]:
    """Findings for and against the distillation, one per line, each with whether it is a warning."""
    rows = {row["role"]: row for row in comparison["rows"]}
    distilled, teacher, alone = rows["distilled"], rows["teacher"], rows.get("alone")
    right = comparison.get("only_right")
    if alone is None or right is None:
        return []
    lines = []
    if teacher["errors"] >= alone["errors"]:
        lines.append((f"the teacher makes {teacher['errors']:,} errors, the student alone {alone['errors']:,}", True))
    p, gained = mcnemar(right["alone"], right["distilled"]), distilled["errors"] < alone["errors"]
    if gained:
        what = "what it gained may be luck" if p > ALPHA else "what it gained is hardly luck"
    else:
        what = f"distillation {'gained nothing' if p > ALPHA else 'did harm'} here"
    said = (
        f"{what}: {right['distilled']:,} test samples only the distilled student has right, "
        f"{right['alone']:,} only the other ({chance(p)})"
    )
    sure = gained and p <= ALPHA
    lines.append((said if sure else f"{said}; other seeds tell more: bmx distill -m … seeds=3", not sure))
    return lines


def left_out_lines(comparison: dict[str, Any]) -> list[str]:
    """Lines on the students' accuracy on classes left out of their training; empty where there are none."""
    lines = []
    for entry in comparison.get("left_out") or []:
        classes, as_is, shifted = ", ".join(map(str, entry["classes"])), entry["as_is"], entry["shifted"]
        lines.append(
            f"{entry['name']}, never shown class {classes}: {as_is['errors_left_out']:,} of its {entry['n']:,} wrong, "
            f"{as_is['errors']:,} errors in all; with its bias raised by {shifted['shift']:g} (chosen on the test "
            f"set): {shifted['errors_left_out']:,} and {shifted['errors']:,}"
        )
    return lines


def draw(comparison: dict[str, Any], path: Path) -> None:
    """Draw accuracy (with its interval), agreement and calibration error of each model, one panel each."""
    from bmx.runs.report.figure import BLUE, FAINT, INK, ORANGE, PALE_BLUE, drawing, head, place, text_width

    rows, n = comparison["rows"], comparison["n"]
    classes = any("errors" in row for row in rows)
    panels = ["error", "disagreement with the teacher", "calibration error"] if classes else [_ERROR.said]
    labels = [f"{row['name']}  {numbers.short(row['parameters'])}" for row in rows]
    left, panel, gap = 0.35 + text_width(labels, 9), 2.3, 1.0
    width, height = max(left + len(panels) * (panel + gap), 6.4), 1.6 + 0.4 * len(rows)
    colours = {"teacher": PALE_BLUE, "alone": BLUE, "distilled": ORANGE}
    with drawing(path, width, height) as figure:
        head(figure, title(comparison), f"{comparison['method']}; test set of {n:,}; lines are 95 % intervals")
        for number, name in enumerate(panels):
            start = left + number * (panel + gap)
            axes = place(figure, start, 0.45, width - start - panel, 0.95)
            for y, row in enumerate(rows):
                value, low, high = _measured(row, name, n)
                axes.barh(y, value, height=0.62, color=colours[row["role"]])
                if high > low:
                    axes.plot([low, high], [y, y], color=INK, linewidth=1)
                shown = numbers.measured(_ERROR, value) if name == _ERROR.said else f"{value:.2f} %"
                axes.text(1.03, y, shown, color=INK, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)
            axes.set_ylim(len(rows) - 0.5, -0.5)
            axes.set_xlim(left=0)
            axes.set_yticks(range(len(rows)), labels if number == 0 else [""] * len(rows))
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="x", color=FAINT, linewidth=0.7)
            axes.set_title(name if name == _ERROR.said else f"{name}, %", loc="left", fontsize=9.5)


def _measured(row: dict[str, Any], panel: str, n: int) -> tuple[float, float, float]:
    """A bar and the ends of its interval; both ends the bar's where there is none."""
    if panel == _ERROR.said:
        value = float(row["metrics"][_ERROR.name])
    elif panel == "error":
        low, high = wilson(row["errors"], n)
        return 100 * row["errors"] / n, 100 * low, 100 * high
    elif panel == "calibration error":
        value = 100 * row["calibration_error"]
    else:
        value = 100 * (1 - row["agreement"])
    return value, value, value
