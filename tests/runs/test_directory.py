from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmx.errors import UsageError
from bmx.runs import run_id
from bmx.runs.directory import claim, create, find
from bmx.runs.finding import newest_first
from bmx.runs.names import folder_name


@given(st.text(max_size=300))
def test_any_name_becomes_one_visible_folder(name: str) -> None:
    folder = folder_name(name)
    assert folder
    assert folder not in (".", "..")
    assert "/" not in folder
    assert "\0" not in folder
    assert folder[0] not in ".-"
    assert len(folder.encode()) <= 120
    assert folder_name(folder) == folder


@given(st.text(alphabet="abcXYZ019_", min_size=1, max_size=100))
def test_a_plain_name_stays_as_it_is(name: str) -> None:
    assert folder_name(name) == name


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("../../etc", "etc"),
        ("a/b", "a-b"),
        ("", "run"),
        ("..", "run"),
        ("lr=0.1,seed=2", "lr=0.1,seed=2"),
        ("é x", "é-x"),
    ],
)
def test_awkward_names(name: str, folder: str) -> None:
    assert folder_name(name) == folder


@given(st.integers(0, 2**48), st.integers(0, 2**48))
def test_ids_go_back_to_their_time_and_sort_by_it(a: int, b: int) -> None:
    assert run_id.to_ticks(run_id.from_ticks(a)) == a
    assert (run_id.from_ticks(a) < run_id.from_ticks(b)) == (a < b)


@given(st.text(max_size=25))
def test_what_is_not_an_id_is_refused(text: str) -> None:
    if not run_id.PATTERN.fullmatch(text):
        with pytest.raises(ValueError, match="not a run id"):
            run_id.to_ticks(text)


def test_create_makes_one_directory_under_verb_and_name(tmp_path: Path) -> None:
    before = time.time()
    run = create(tmp_path / "outputs", "train", "my run/1")
    assert run.is_dir()
    assert run.parent == tmp_path / "outputs" / "train" / "my-run-1"
    assert run_id.PATTERN.fullmatch(run.name)
    # A tick is a 65,536th of a second.
    assert before - 1 <= run_id.to_ticks(run.name) / 65536 <= time.time() + 1


def test_fifty_threads_get_fifty_directories(tmp_path: Path) -> None:
    with ThreadPoolExecutor(50) as pool:
        runs = list(pool.map(lambda _: create(tmp_path, "train", "same"), range(200)))
    assert len(set(runs)) == 200


def test_processes_get_directories_of_their_own(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom bmx.runs.directory import create\n"
        "for _ in range(10): print(create(Path(sys.argv[1]), 'train', 'same'))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(10)
    ]
    made = [line for process in started for line in process.communicate(timeout=240)[0].split()]
    assert len(made) == len(set(made)) == 100


def test_without_the_clock_file_or_locks_directories_stay_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(["20251122-040000-0001"] * 3 + ["20251122-040000-0002"])
    monkeypatch.setattr(run_id, "issue", lambda outputs: next(ids))
    assert create(tmp_path, "train", "x").name.endswith("0001")
    assert create(tmp_path, "train", "x").name.endswith("0002")


def test_latest_is_the_last_created_though_the_clock_jumps_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([2_000_000_000, 1_000_000_000, 1_999_999_999, 1_000_000_000])
    monkeypatch.setattr(run_id.time, "time_ns", lambda: next(times) * 10**9)
    made = [
        create(tmp_path, verb, name) for verb, name in (("train", "a"), ("train", "b"), ("bench", "a"), ("train", "a"))
    ]
    assert newest_first(tmp_path) == made[::-1]


@pytest.mark.parametrize(
    "content", [b"", b"nonsense\n", b"99991231-235959-ffff\n", b"20259999-040000-1a2b\n", b"\xff\xfe"]
)
def test_a_broken_clock_file_does_no_harm(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".clock").write_bytes(content)
    first, second = create(tmp_path, "train", "a"), create(tmp_path, "train", "a")
    assert first.name < second.name


def test_create_lists_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("create looked at other runs")

    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, refuse)
    assert create(tmp_path, "train", "a").is_dir()


def test_outputs_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("")
    with pytest.raises(UsageError, match="no run directory can be made"):
        create(tmp_path / "outputs", "train", "a")
    with pytest.raises(UsageError, match="no run directory can be made"):
        claim(tmp_path / "outputs")


def test_claim_makes_what_is_missing_and_refuses_what_holds_a_run(tmp_path: Path) -> None:
    run = claim(tmp_path / "a" / "b")
    assert run.is_dir()
    assert claim(run) == run
    (run / "result.json").write_text("{}")
    with pytest.raises(UsageError, match="already holds a run") as error:
        claim(run)
    assert error.value.exit_code == 2
    assert f"resume={run}" in error.value.fix
    assert claim(run, resume=True) == run


def test_latest_is_the_newest_that_holds_a_model(tmp_path: Path, make_run) -> None:
    make_run("20250101-000000-0000", checkpoint=True)
    older = make_run("20250102-000000-0000", "distill", checkpoint=True)
    make_run("20250103-000000-0000", result={"status": "done"})
    bench = make_run("20250104-000000-0000", "bench", result={"status": "done"}, checkpoint=True)
    assert find("latest", tmp_path / "outputs") == older
    assert find("latest", tmp_path / "outputs", verb="bench") == bench
    with pytest.raises(UsageError, match="no sweep run yet"):
        find("latest", tmp_path / "outputs", verb="sweep")


def test_latest_resumable_is_the_newest_that_is_not_done_nor_busy(tmp_path: Path, make_run) -> None:
    make_run("20250101-000000-0000", result={"status": "failed"})
    wanted = make_run("20250102-000000-0000", result={"status": "interrupted"})
    make_run("20250103-000000-0000", result={"status": "done"})
    make_run("20250104-000000-0000")  # an empty folder
    make_run("20250105-000000-0000", result={"status": "running", "process": {"host": "elsewhere", "pid": 1}})
    assert find("latest", tmp_path / "outputs", resumable=True) == wanted
    killed = make_run("20250106-000000-0000", checkpoint=True)
    assert find("latest", tmp_path / "outputs", resumable=True) == killed


def test_no_runs_at_all(tmp_path: Path) -> None:
    for arguments in ({}, {"resumable": True}):
        with pytest.raises(UsageError, match="there is no"):
            find("latest", tmp_path / "outputs", **arguments)
    with pytest.raises(UsageError, match="no run 'x'"):
        find("x", tmp_path / "outputs")
    with pytest.raises(UsageError, match="no run was named"):
        find(" ", tmp_path / "outputs")


def test_a_run_by_id_beginning_directory_and_checkpoint(
    tmp_path: Path, make_run, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = tmp_path / "outputs"
    one = make_run("20250101-000000-00aa", checkpoint=True)
    two = make_run("20250102-000000-00bb", result={"status": "done"}, checkpoint=True)
    assert find(one.name, outputs) == one
    assert find("20250102", outputs) == two
    assert find(str(one), outputs) == one
    assert find(str(one / "checkpoints" / "best.ckpt"), outputs) == one
    assert find(str(two / "checkpoints"), outputs) == two
    monkeypatch.chdir(tmp_path)
    assert find(f"outputs/train/n/{one.name}/checkpoints/best.ckpt", outputs).resolve() == one
    with pytest.raises(UsageError, match="beginning of 2 runs") as error:
        find("2025", outputs)
    assert error.value.fix == f"one of: {two.name}, {one.name}"
    with pytest.raises(UsageError, match="no run") as error:
        find("20250101-000000-00ab", outputs)
    assert "did you mean '20250101-000000-00aa'" in error.value.fix
    with pytest.raises(UsageError, match="holds no run"):
        find(str(tmp_path), outputs)


def test_a_config_in_the_current_folder_is_not_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "config.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="holds no run"):
        find("conf", tmp_path / "outputs")


def test_a_name_too_long_for_a_file_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run"):
        find("a" * 300, tmp_path)


@given(st.text(max_size=300))
def test_whatever_is_asked_for_is_a_usage_error_or_a_run(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    with pytest.raises(UsageError):
        find("\x01" + text, tmp_path_factory.getbasetemp() / "none")
