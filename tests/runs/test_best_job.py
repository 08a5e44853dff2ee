"""A sweep where a run is meant is its best job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bmx.errors import UsageError
from bmx.runs import best_job
from bmx.runs.finding import find

OLDER, SWEEP, NEWER = "20250101-000000-0000", "20250102-000000-0000", "20250103-000000-0000"


def a_run(folder: Path, **result: object) -> Path:
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "best.ckpt").touch()
    (folder / "result.json").write_text(json.dumps({"verb": "train", "status": "done", **result}))
    return folder


def a_sweep(outputs: Path, verb: str = "train", run_id: str = SWEEP, **more: object) -> Path:
    sweep = outputs / "sweep" / "net" / run_id
    for name in ("aaa", "bbb"):
        a_run(sweep / "jobs" / name)
    result = {"verb": "sweep", "status": "done", "best_job": "bbb", "best_point": {"lr": "0.1"}, **more}
    (sweep / "result.json").write_text(json.dumps(result))
    (sweep / "sweep.json").write_text(json.dumps({"verb": verb}))
    return sweep


@pytest.mark.parametrize("name", ["latest", SWEEP, SWEEP[:9], "path", "file"])
def test_every_name_of_a_sweep_means_its_best_job(tmp_path: Path, name: str) -> None:
    a_run(tmp_path / "train" / "net" / OLDER)
    sweep = a_sweep(tmp_path)
    meant = {"path": str(sweep), "file": str(sweep / "leaderboard.csv")}.get(name, name)
    (sweep / "leaderboard.csv").touch()
    told: list[tuple[Path, Path]] = []
    assert find(meant, tmp_path, tell=lambda *said: told.append(said)) == sweep / "jobs" / "bbb"
    assert told == [(sweep, sweep / "jobs" / "bbb")]


def test_latest_is_the_newest_whichever_it_is(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path)
    newer = a_run(tmp_path / "train" / "net" / NEWER)
    assert find("latest", tmp_path) == newer
    assert find("latest", tmp_path, sweeps=False) == newer
    assert find(str(sweep / "jobs" / "aaa"), tmp_path) == sweep / "jobs" / "aaa"


@pytest.mark.parametrize("verb", ["compress", "distill", "bench"])
def test_latest_is_not_what_a_sweep_made_of_the_latest(tmp_path: Path, verb: str) -> None:
    """`bmx compress -m run=latest`, given again to go on with its own sweep, means the same run as before."""
    older = a_run(tmp_path / "train" / "net" / OLDER)
    sweep = a_sweep(tmp_path, verb)
    assert find("latest", tmp_path) == older
    assert find(str(sweep), tmp_path) == sweep / "jobs" / "bbb"


def test_a_sweep_without_a_best_job(tmp_path: Path) -> None:
    older = a_run(tmp_path / "train" / "net" / OLDER)
    sweep = a_sweep(tmp_path, best_job=None, status="running")
    assert find("latest", tmp_path) == older
    with pytest.raises(UsageError, match="no best job yet"):
        find(SWEEP, tmp_path)
    assert find(SWEEP, tmp_path, resumable=True) == sweep


def test_a_sweep_that_was_moved_and_one_from_before_it_named_its_best_job(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path, best_job=None, best_runs=["/somewhere/else/jobs/aaa"])
    assert find(str(sweep), tmp_path) == sweep / "jobs" / "aaa"


def test_it_is_told_once_and_not_on_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = a_sweep(tmp_path)
    for _ in range(2):
        find(SWEEP, tmp_path, tell=best_job.tell)
    said = capsys.readouterr()
    assert said.out == "" and said.err == f"{SWEEP} is a sweep: its best job is taken, bbb (lr=0.1)\n"
    assert best_job.sweeps_over(sweep) == "train"
