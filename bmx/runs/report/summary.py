"""Summary table at the end of a run."""

from __future__ import annotations

import re
import shlex
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bmx.files.shown import shown
from bmx.metrics.metric import Metric
from bmx.metrics.standard import MAIN, STANDARD, named
from bmx.runs.report import numbers
from bmx.runs.report.interval import wilson
from bmx.runs.report.signs import charset, spelled
from bmx.runs.report.terminal import console as paper
from bmx.runs.run_id import PATTERN

if TYPE_CHECKING:
    from rich.console import Console

_SPLITS = ("test", "val", "train")
_STYLES = {"done": "green", "failed": "red", "interrupted": "yellow", "running": "cyan"}


class Line(NamedTuple):
    """One line of the summary: ``note`` explains the value; ``group`` keeps what belongs together."""

    group: str
    label: str
    value: str
    note: str = ""


def show(result: dict[str, Any], run: Path, console: Console | None = None) -> None:
    """Print what came of a run and what to do next; plain aligned lines where the output is not a terminal."""
    console = console or paper()
    if console.is_terminal:
        _show_rich(result, run, console)
        return
    signs = charset(console.file)
    for line in plain(result, run):
        console.file.write(spelled(line, signs) + "\n")


def plain(result: dict[str, Any], run: Path) -> list[str]:
    """The summary as aligned lines of text, first the title."""
    found = lines(result, run)
    width = max((len(line.label) for line in found), default=0)
    across = max((len(line.value) for line in found if line.note and line.group != "where"), default=0)
    text = [title(result)]
    for line in found:
        value = f"{line.value:<{across}}  {line.note}" if line.note else line.value
        text.append(f"  {line.label:<{width}}  {value}")
    return text


def title(result: dict[str, Any]) -> str:
    """The fact in one line: "lenet5 on mnist_5k: done in 31.2 s"."""
    choices, data = result.get("choices") or {}, result.get("data") or {}
    subject = str(choices.get("model") or result.get("name") or "run")
    if data.get("name"):
        subject += f" on {data['name']}"
    total = (result.get("seconds") or {}).get("total")
    after = f" {'in' if result.get('status') == 'done' else 'after'} {numbers.seconds(total)}"
    return f"{subject}: {result.get('status', 'unknown')}{after if numbers.is_number(total) else ''}"


def lines(result: dict[str, Any], run: Path) -> list[Line]:
    """The lines of a run's summary, in groups; unknown values are omitted."""
    found: list[Line] = []
    if result.get("reason"):
        found.append(Line("result", "reason", str(result["reason"])))
    found += _metrics(result)
    found += _cost(result.get("cost") or {})
    found += _export(result.get("export") or {})
    found += _time(result)
    found += _where(result, run)
    return found


def _metrics(result: dict[str, Any]) -> list[Line]:
    metrics = result.get("metrics") or {}
    split = next((s for s in _SPLITS if any(name.startswith(f"{s}/") for name in metrics)), None)
    if split is None:
        return []
    n = (result.get("data") or {}).get(split)
    n = n if numbers.is_number(n) and n > 0 else None

    found: list[Line] = []
    for metric, value in _known(metrics, split, result.get("measures")):
        if metric.share and not numbers.is_number(value):
            continue
        note = ""
        if metric in MAIN.values() and n is not None and not found:
            note = _counted(metric, value, n)
        label = f"{metric.averaged or split} {metric.said}"
        found.append(Line("result", label, numbers.measured(metric, value, n), note))
    return found


def _known(metrics: dict[str, Any], split: str, noted: Any) -> list[tuple[Metric, Any]]:
    """The metrics of a part of the data with their values: the standard ones in their order, then the others."""
    values = {name.partition("/")[2]: value for name, value in metrics.items() if name.startswith(f"{split}/")}
    usual = [metric for metric in STANDARD if metric.name in values]
    others = [named(name, noted) for name in values if name not in {metric.name for metric in usual}]
    return [(metric, values[metric.name]) for metric in (*usual, *others)]


def _counted(main: Metric, value: Any, n: float) -> str:
    """How many examples are behind the main score, and how far they make it sure where it is a share of them."""
    if not main.share:
        return f"on {n:,} examples"
    right = round(value * n)
    low, high = wilson(right, n)
    return f"{right:,} of {n:,}; 95 % interval {numbers.percent(low, n)[:-2]} – {numbers.percent(high, n)}"


def _cost(cost: dict[str, Any]) -> list[Line]:
    found = []
    if numbers.is_number(cost.get("parameters")):
        trainable = cost.get("trainable_parameters")
        partly = numbers.is_number(trainable) and trainable != cost["parameters"]
        note = f"{trainable:,} of them trained" if partly else ""
        found.append(Line("cost", "parameters", numbers.whole(cost["parameters"]), note))
    nonzero = cost.get("nonzero_parameters")
    if numbers.is_number(nonzero) and nonzero < 0.99 * (cost.get("parameters") or 0):
        found.append(Line("cost", "not zero", numbers.whole(nonzero)))
    if numbers.is_number(cost.get("macs")):
        found.append(Line("cost", "MACs", numbers.short(cost["macs"]), "for one example"))
    if numbers.is_number(cost.get("bytes")):
        found.append(Line("cost", "size", numbers.size(cost["bytes"])))
    return found


def _export(export: dict[str, Any]) -> list[Line]:
    """How an exported file compares with the run it was made from."""
    found = []
    if numbers.is_number(export.get("largest_difference")):
        of = f"largest output {numbers.figures(export.get('largest_output'), 3)}"
        found.append(Line("export", "difference", numbers.figures(export["largest_difference"], 2), f"at most; {of}"))
        changed = f"{numbers.whole(export.get('changed'))} of {numbers.whole(export.get('n'))}"
        found.append(Line("export", "answers changed", changed))
    if export.get("format"):
        where = export.get("preprocessing")
        inside = "takes raw samples" if where == "inside" else "takes normalised samples; see the .json beside it"
        found.append(Line("export", "format", str(export["format"]), inside))
    if export.get("needs"):
        found.append(Line("export", "needs", "VNNI on x86", str(export["needs"])))
    return found


def _time(result: dict[str, Any]) -> list[Line]:
    spent, found = result.get("seconds") or {}, []
    per_epoch = [s for s in spent.get("per_epoch") or [] if numbers.is_number(s)]
    if per_epoch:
        note = f"median of {len(per_epoch)}" if len(per_epoch) > 1 else ""
        found.append(Line("time", "seconds/epoch", numbers.figures(statistics.median(per_epoch), 3), note))
    if numbers.is_number(spent.get("total")):
        fit = spent.get("fit")
        note = f"{numbers.seconds(fit)} of it training" if numbers.is_number(fit) else ""
        found.append(Line("time", "total time", numbers.seconds(spent["total"]), note))
    ended = result.get("ended_early") or {}
    if ended:
        found.append(Line("time", "ended early", f"after {ended['after']} of {ended['of']}", str(ended["reason"])))
    best, epochs = result.get("best") or {}, result.get("epochs")
    if numbers.is_number(best.get("epoch")):
        value, metric = best.get("value"), str(best.get("metric") or "")
        said = numbers.measured(named(metric, result.get("measures")), value)
        note = f"{metric.replace('/', ' ')} {said}" if metric and numbers.is_number(value) else ""
        of = f" of {epochs}" if numbers.is_number(epochs) else ""
        found.append(Line("time", "best epoch", f"{best['epoch']}{of}", note))
    elif numbers.is_number(epochs):
        found.append(Line("time", "epochs", str(epochs)))
    return found


def _where(result: dict[str, Any], run: Path) -> list[Line]:
    place, verb = shown(run), result.get("verb") or "train"
    found = [Line("where", "run", place)]
    file = (result.get("export") or {}).get("file")
    if file and result.get("status") == "done":
        found.append(Line("where", "file", shown(Path(file))))
    plots = sorted(p.stem for p in (run / "plots").glob("*.png"))
    if plots:
        found.append(Line("where", "plots", f"{place}/plots", ", ".join(plots)))
    if result.get("status") in ("failed", "interrupted"):
        name = run.name if PATTERN.fullmatch(run.name) and not _lies_elsewhere(run, verb) else place
        found.append(Line("where", "go on", f"bmx {verb} {_argument('resume', name)}"))
    elif result.get("status") == "done":
        model = verb in ("train", "distill", "compress")
        named = shown(Path(file)) if file else place if _lies_elsewhere(run, verb) else "latest"
        evaluate = f"bmx evaluate {_argument('run', named)}"
        found.append(Line("where", "next", evaluate if model or file else "bmx runs list"))
    return found


def _lies_elsewhere(run: Path, verb: str) -> bool:
    """Whether a run lies in another outputs folder than a command searches that says nothing else."""
    whole = run.resolve()
    return whole.parent.parent.name == verb and whole.parents[2] != Path("outputs").resolve()


def _argument(key: str, value: str) -> str:
    """A word with a value as a shell and Hydra's grammar read it back."""
    if re.fullmatch(r"[\w./-]+", value, re.ASCII):
        return f"{key}={value}"
    escaped = value.replace("'", "\\'")
    return shlex.quote(f"{key}='{escaped}'")


def _show_rich(result: dict[str, Any], run: Path, console: Console) -> None:
    from rich.text import Text

    from bmx.runs.report.table import TextTable

    style = _STYLES.get(str(result.get("status")), "default")
    table = TextTable(headings=False, indent=2)
    table.add_column(style="dim")
    table.add_column(wraps=True)
    table.add_column(style="dim", wraps=True)
    found = lines(result, run)
    # Long values (the path, the command) get lines of their own below, so that they do not push the notes away.
    short = [line for line in found if line.group != "where" and line.label != "reason"]
    for at, line in enumerate(short):
        if at and line.group != short[at - 1].group:
            table.add_row("", "", "")
        headline = at == 0 and line.group == "result"
        table.add_row(line.label, Text(line.value, f"bold {style}" if headline else ""), Text(line.note))
    wide = max((len(line.label) for line in found), default=0)
    heading, _, how = title(result).rpartition(": ")
    console.print()
    console.print(Text.assemble((heading, "bold"), "  ", (how, style)), soft_wrap=True)
    for line in found:
        if line.label == "reason":
            console.print(Text(f"  {line.value}", style), soft_wrap=True)
    if short:
        console.print()
        console.print(table)
    console.print()
    for line in found:
        if line.group == "where":
            said = Text.assemble("  ", (f"{line.label:<{wide}}", "dim"), "  ", line.value)
            if line.note:
                said.append(f"  {line.note}", "dim")
            # A path or command broken into two lines could not be copied.
            console.print(said, soft_wrap=True)
    console.print()
