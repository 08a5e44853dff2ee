from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from bmx.runs.report import summary


def shown(result: dict[str, Any], run: Path, terminal: bool, width: int = 100) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)
    summary.show(result, run, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_finished_run_says_all_that_was_measured(trained: dict[str, Any], tmp_path: Path, terminal: bool) -> None:
    run = tmp_path / "20251122-040000-1a2b"
    (run / "plots").mkdir(parents=True)
    (run / "plots" / "curves.png").touch()
    text = shown(trained, run, terminal)
    for part in (
        "97.0 %",
        "970 of 1,000",
        "95.7 – 97.9 %",
        "0.08412",
        "precision",
        "recall",
        "F1",
        "61,706",
        "416.5 k",
        "246.8 kB",
        "2.93",
        "median of 3",
        "31.2 s",
        "9 of 10",
        str(run),
        "curves",
        "bmx evaluate run=latest",
    ):
        assert part in text, part


def test_piped_lines_are_aligned_and_whole(trained: dict[str, Any], tmp_path: Path) -> None:
    run = tmp_path / ("x" * 200)
    lines = shown(trained, run, terminal=False, width=40).splitlines()
    assert lines[0] == "lenet5 on mnist_5k: done in 31.2 s"
    assert str(run) in lines[-2]
    assert {line.index(value) for line, value in zip(lines[1:4], ("97.0 %", "0.08412", "97.0 %"), strict=True)} == {19}


def test_a_path_is_not_broken_on_a_narrow_terminal(trained: dict[str, Any], tmp_path: Path) -> None:
    run = tmp_path / ("x" * 200)
    assert str(run) in shown(trained, run, terminal=True, width=60)


def test_regression_shows_its_own_measures(trained: dict[str, Any], tmp_path: Path) -> None:
    trained["metrics"] = {"test/rmse": 53.4, "test/mae": 43.25, "test/r2": 0.48, "test/loss": 2851.0}
    text = shown(trained, tmp_path, terminal=False)
    for part in ("RMSE", "53.40", "MAE", "43.25", "R²", "0.4800", "on 1,000 examples"):
        assert part in text
    assert "accuracy  " not in text


@pytest.mark.parametrize(("status", "reason"), [("interrupted", None), ("failed", "the loss is not finite at step 12")])
def test_an_unfinished_run_says_how_to_go_on(
    trained: dict[str, Any], tmp_path: Path, status: str, reason: str | None
) -> None:
    run = tmp_path / "20251122-040000-1a2b"
    part = {key: trained[key] for key in ("verb", "choices", "data", "seconds")} | {"status": status, "reason": reason}
    for terminal in (True, False):
        text = shown(part, run, terminal)
        assert "bmx train resume=20251122-040000-1a2b" in text
        assert f"{status} after 31.2 s" in text
        assert "evaluate" not in text
        assert reason is None or reason in text
    elsewhere = tmp_path / "mine"
    assert f"resume={elsewhere}" in shown(part, elsewhere, terminal=False)


def test_another_split_and_a_missing_value(trained: dict[str, Any], tmp_path: Path) -> None:
    trained["metrics"] = {"val/accuracy": 0.5, "val/loss": None}
    text = shown(trained, tmp_path, terminal=False)
    assert "200 of 400" in text
    assert "val loss" in text
    assert "–" in text


def test_an_output_without_utf8_is_still_readable(trained: dict[str, Any], tmp_path: Path) -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    summary.show(trained, tmp_path, Console(file=file))
    file.flush()
    assert b"95.7 - 97.9 %" in raw.getvalue()


json_like = st.recursive(st.none() | st.floats() | st.text(max_size=8), lambda x: st.lists(x, max_size=2), max_leaves=4)
sections = st.dictionaries(
    st.sampled_from(
        [
            "test/accuracy",
            "test/loss",
            "test/rmse",
            "parameters",
            "macs",
            "bytes",
            "total",
            "per_epoch",
            "epoch",
            "test",
        ]
    ),
    st.none() | st.floats(allow_nan=False) | st.integers(0, 9),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("metrics", "cost", "best", "data", "choices"), sections)))
def test_whatever_is_missing_the_summary_is_printed(tmp_path: Path, result: dict[str, Any]) -> None:
    for terminal in (True, False):
        assert str(tmp_path.name) in shown(result, tmp_path, terminal)
