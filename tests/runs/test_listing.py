from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bmx.runs import listing, result


def printed(outputs: Path, width: int = 100, terminal: bool = True, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    listing.show(outputs, console=console, **options)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_an_empty_folder_says_how_to_start(tmp_path: Path) -> None:
    assert "start one: bmx train" in printed(tmp_path / "outputs")
    assert printed(tmp_path / "outputs", as_json=True) == "[]\n"


def test_newest_first_with_what_matters(tmp_path: Path, make_run, trained: dict[str, Any]) -> None:
    make_run("20250101-000000-0000", name="old", result=trained)
    make_run("20250102-000000-0000", "compress", name="mid", result={"status": "failed"})
    make_run("20250103-000000-0000", name="reg", result={"status": "done", "metrics": {"test/rmse": 53.4}})
    make_run("20250104-000000-0000", name="val", result={"status": "done", "metrics": {"val/accuracy": 0.5}})
    lines = printed(tmp_path / "outputs").splitlines()
    assert lines[0].split() == ["id", "verb", "name", "status", "result", "params", "epochs", "time", "when"]
    assert [line.split()[2] for line in lines[1:]] == ["val", "reg", "mid", "old"]
    assert "97.0 %" in lines[4]
    assert "61.7 k" in lines[4]
    assert "0:31" in lines[4]
    assert "rmse 53.4" in lines[2]
    assert "val 50.0 %" in lines[1]


def test_a_hundred_columns_hold_the_widest_row(tmp_path: Path, make_run) -> None:
    whole = {
        "status": "interrupted",
        "metrics": {"val/accuracy": 0.9512},
        "data": {"val": 5000},
        "cost": {"parameters": 138_357_544},
        "epochs": 1000,
        "seconds": {"total": 123456.0},
        "started": "2021-01-01T00:00:00+00:00",
    }
    make_run("20250101-000000-0000", "compress", "a-very-long-name-of-a-run-that-goes-on-and-on", result=whole)
    text = printed(tmp_path / "outputs")
    assert max(map(len, text.splitlines())) <= 100
    # A name that has no room for all of it goes on below, after one of its hyphens.
    assert [line[30:58].strip() for line in text.splitlines()][1:] == [
        "a-very-long-name-of-a-run-",
        "that-goes-on-and-on",
    ]
    for part in ("20250101-000000-0000", "compress", "interrupted", "val 95.12 %", "138.4 M"):
        assert part in text
    piped = printed(tmp_path / "outputs", terminal=False)
    assert "goes-on-and-on" in piped and "34:17:36" in piped, "nothing is left out in a pipe"


def test_the_limit_says_what_it_hides(tmp_path: Path, make_run) -> None:
    for i in range(25):
        make_run(f"20250101-000000-{i:04x}", result={"status": "done"})
    assert "and 5 more (limit=0 shows all)" in printed(tmp_path / "outputs")
    assert "more" not in printed(tmp_path / "outputs", limit=0)
    assert len(json.loads(printed(tmp_path / "outputs", as_json=True, limit=3))) == 3


@pytest.mark.parametrize("content", ["", "{", "[]", '{"metrics": 3, "cost": [], "started": 5, "epochs": "x"}'])
def test_whatever_a_result_holds_it_is_listed(tmp_path: Path, make_run, content: str) -> None:
    make_run("20250101-000000-0000", result=content)
    make_run("mine")
    (tmp_path / "outputs" / "train" / "a file").write_text("")
    rows, hidden = listing.rows(tmp_path / "outputs")
    assert hidden == 0
    assert {row.id for row in rows} == {"20250101-000000-0000", "mine"}
    assert "20250101-000000-0000" in printed(tmp_path / "outputs")


def test_a_killed_run_is_listed_as_died(tmp_path: Path, make_run) -> None:
    run = make_run("20250101-000000-0000")
    assert listing.row(run).status == "no result"
    result.start(run, "train", "n")
    assert listing.row(run).status == "running"
    whole = result.read(run)
    whole["process"]["boot"] = "before"
    result.write(run, whole)
    assert listing.row(run).status == "died"


def test_markup_in_a_name_is_only_text(tmp_path: Path, make_run) -> None:
    make_run("20250101-000000-0000", name="[red]x", result={"status": "[bold]"})
    assert "[bold]" in printed(tmp_path / "outputs")


def test_of_five_thousand_runs_those_that_are_shown_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in range(10):
        folder = tmp_path / "outputs" / "train" / f"name{name}"
        folder.mkdir(parents=True)
        for i in range(500):
            (folder / f"20250101-{i:06d}-{name:04x}").mkdir()
    opened: list[Path] = []
    read = result.read
    monkeypatch.setattr(result, "read", lambda run: (opened.append(run), read(run))[1])
    rows, hidden = listing.rows(tmp_path / "outputs", limit=20)
    assert (len(rows), hidden) == (20, 4980)
    assert len(opened) == 20, "only the runs that are shown are opened"
    assert rows[0].id == "20250101-000499-0009"


NOW = datetime(2025, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("passed", "said"),
    [(-5, "now"), (59, "now"), (60, "1 min ago"), (3600, "1 h ago"), (86399, "23 h ago"), (86400 * 29, "29 d ago")],
)
def test_ago(passed: int, said: str) -> None:
    assert listing.ago((NOW - timedelta(seconds=passed)).isoformat(), NOW) == said


@given(st.none() | st.text(max_size=30) | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat))
def test_ago_fits_its_column(started: str | None) -> None:
    assert 1 <= len(listing.ago(started, NOW)) <= 10
