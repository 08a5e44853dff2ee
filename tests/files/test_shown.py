"""Paths are told as the user would type them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bmx.files.shown import shown


def test_below_where_one_stands_it_is_relative_and_elsewhere_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "outputs" / "run") == "outputs/run"
    assert shown(tmp_path) == "."
    assert shown("/elsewhere/run") == "/elsewhere/run"
    assert shown("run/log.txt") == "run/log.txt"


def test_a_folder_that_is_gone_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert shown("/a/b") == "/a/b"
    monkeypatch.chdir(tmp_path)


def test_paths_are_relative_where_that_is_shorter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "outputs" / "x") == "outputs/x"
    assert shown(Path("/x")) == "/x"
