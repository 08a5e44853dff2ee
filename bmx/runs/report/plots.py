"""Draws all plots of a run from the files in its directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmx.runs.metrics_csv import read_rows

if TYPE_CHECKING:
    from bmx.runs.mistake import Mistake


def draw(
    run: Path,
    result: dict[str, Any],
    mistakes: Sequence[Mistake] | None = None,
    samples: str = "examples",
    split: str = "test",
    wrong: int | None = None,
) -> list[Path]:
    """Draw what can be drawn into ``<run>/plots`` and return the files.

    Args:
        run: the run directory; its ``metrics.csv`` becomes ``curves.png``.
        result: its result; the answers under ``test`` become ``confusion.png`` and ``per_class.png``.
        mistakes: the worst wrong answers, for ``mistakes.png``; None draws none.
        samples: what they are called, for the titles: ``images``.
        split: where the answers are from.
        wrong: how many answers were wrong, where ``mistakes`` are not all of them.
    """
    folder, drawn = run / "plots", []
    noun = f"{split} {samples}"
    rows = read_rows(run / "metrics.csv") if (run / "metrics.csv").exists() else []
    if rows:
        from bmx.runs.report import curves

        best = (result.get("best") or {}).get("epoch")
        curves.draw(rows, folder / "curves.png", best_epoch=best)
        drawn.append(folder / "curves.png")
    answers = _answers(result.get("test") or {}, run)
    if answers is not None:
        from bmx.runs.report import confusion, per_class

        test = dict(zip(("confusion", "labels"), answers, strict=True))
        confusion.draw(test, folder / "confusion.png", noun)
        per_class.draw(test, folder / "per_class.png", noun)
        drawn += [folder / "confusion.png", folder / "per_class.png"]
    if mistakes is not None:
        from bmx.runs.report import mistakes as sheet

        of = (result.get("data") or {}).get(split)
        sheet.draw(mistakes, folder / "mistakes.png", of, noun, wrong)
        drawn.append(folder / "mistakes.png")
    return drawn


def _answers(test: dict[str, Any], run: Path) -> tuple[Any, list[str]] | None:
    if not test.get("confusion") and not test.get("confusion_file"):
        return None
    from bmx.runs import confusion as confusions

    return confusions.read(test, run)
