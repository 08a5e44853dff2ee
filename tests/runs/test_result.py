from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
import time
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bmx.errors import RunFailed, UsageError
from bmx.runs import provenance as facts_module
from bmx.runs import result

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def without_not_finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [without_not_finite(item) for item in value]
    if isinstance(value, dict):
        return {key: without_not_finite(item) for key, item in value.items()}
    return value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.text().filter(lambda key: key != "not_finite"), values, max_size=5))
def test_what_is_written_is_read(tmp_path: Path, whole: dict[str, Any]) -> None:
    result.write(tmp_path, whole)
    read = result.read(tmp_path)
    lost = read.pop("not_finite", [])
    assert read == without_not_finite(whole)
    assert bool(lost) == (without_not_finite(whole) != whole)


def test_not_finite_is_null_and_named_also_when_written_again(tmp_path: Path) -> None:
    result.write(tmp_path, {"metrics": {"test/loss": math.nan, "a.b": None}, "seconds": {"per_epoch": [1.0, math.inf]}})
    read = result.read(tmp_path)
    assert read["metrics"]["test/loss"] is None
    assert read["not_finite"] == ["metrics.test/loss", "seconds.per_epoch[1]"]
    read["metrics"]["test/loss"] = 0.5
    result.write(tmp_path, read)
    assert result.read(tmp_path)["not_finite"] == ["seconds.per_epoch[1]"]


def test_what_json_does_not_know_is_written_plainly(tmp_path: Path) -> None:
    class Colour(Enum):
        RED = 1

    whole = {
        "scalar": np.float32(0.5),
        "count": np.int64(3),
        "right": np.bool_(True),
        "matrix": np.eye(2, dtype=int),
        "nan": np.float64("nan"),
        "path": Path("/tmp/x"),
        "set": {2, 1},
        "enum": Colour.RED,
        "surrogate": "\udc80",
        3: "key",
    }
    result.write(tmp_path, whole)
    read = result.read(tmp_path)
    assert read == {
        "scalar": 0.5,
        "count": 3,
        "right": True,
        "matrix": [[1, 0], [0, 1]],
        "nan": None,
        "path": "/tmp/x",
        "set": [1, 2],
        "enum": "Colour.RED",
        "surrogate": "\udc80",
        "3": "key",
        "not_finite": ["nan"],
    }


def test_a_confusion_matrix_is_a_row_a_line(tmp_path: Path, trained: dict[str, Any]) -> None:
    result.write(tmp_path, trained)
    assert "      [97, 3, 0, 0, 0, 0, 0, 0, 0, 0],\n" in (tmp_path / "result.json").read_text()


@pytest.mark.parametrize("broken", ["fsync", "replace", "open"])
def test_a_full_disk_is_told_and_leaves_the_old_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    result.write(tmp_path, {"status": "running"})

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full) if broken == "fsync" else patch.setattr(Path, broken, full)
        with pytest.raises(RunFailed) as error:
            result.write(tmp_path, {"status": "done"})
    assert error.value.exit_code == 1
    what, where, fix = error.value.lines()
    assert "no space left on device" in what
    assert str(tmp_path / "result.json") in where
    assert "make room" in fix
    assert result.read(tmp_path) == {"status": "running"}
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.slow
def test_readers_never_see_half_a_result(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom bmx.runs import result\n"
        "for i in range(300): result.write(Path(sys.argv[1]), {'i': [i] * (1 + i % 7 * 2000)})"
    )
    result.write(tmp_path, {"i": [0]})
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    while writer.poll() is None:
        assert len(set(result.read(tmp_path)["i"])) == 1
    assert writer.returncode == 0


@pytest.mark.parametrize("content", [None, "", "{", "[1]", '{"a": 1'])
def test_reading_what_is_not_a_result(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    with pytest.raises(UsageError):
        result.read(tmp_path)


def test_start_then_finish(tmp_path: Path) -> None:
    started = result.start(tmp_path, "train", "lenet5", seed=3)
    assert started == result.read(tmp_path)
    assert started["status"] == "running"
    assert started["process"]["pid"] == os.getpid()
    assert started["versions"]["python"].startswith("3.")
    with pytest.raises(ValueError, match="status must be one of"):
        result.finish(tmp_path, "finished")
    whole = result.finish(tmp_path, "failed", "the loss is nan", epochs=2, name="lenet5")
    assert list(whole)[:4] == ["verb", "name", "status", "reason"]
    assert (whole["seed"], whole["epochs"], whole["reason"]) == (3, 2, "the loss is nan")
    assert whole["finished"] >= whole["started"]


def test_a_resumed_run_keeps_its_first_start(tmp_path: Path) -> None:
    result.write(tmp_path, {"status": "interrupted", "started": "2025-11-22T04:00:00+00:00", "reason": "Ctrl-C"})
    again = result.start(tmp_path, "train", "a")
    assert again["started"] == "2025-11-22T04:00:00+00:00"
    assert len(again["resumed"]) == 1
    assert "reason" not in again
    assert len(result.start(tmp_path, "train", "a")["resumed"]) == 2
    (tmp_path / "result.json").write_text("{")
    assert "resumed" not in result.start(tmp_path, "train", "a")


def test_facts_are_plain_and_quick(tmp_path: Path) -> None:
    facts_module.installed_versions.cache_clear()
    facts_module.cpu.cache_clear()
    before = time.process_time()
    found = facts_module.facts(tmp_path)
    assert time.process_time() - before < 0.05
    assert json.loads(json.dumps(found)) == found
    assert found["git"] is None
    assert found["cpu"]["model"]
    assert set(found["versions"]) >= {"bmx", "torch", "lightning", "hydra", "python"}


def test_facts_import_nothing_heavy() -> None:
    code = (
        "import sys; from bmx.runs import directory, listing, metrics_csv, result\n"
        "from bmx.runs.report import plots, summary\nresult.facts()\n"
        "heavy = {'torch', 'hydra', 'pytorch_lightning', 'matplotlib', 'rich', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=240)


def test_git_commit_and_dirt(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        name = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(
            ["git", *name, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    assert facts_module.git(tmp_path) == {"commit": None, "dirty": False}
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "a")
    (tmp_path / "sub").mkdir()
    assert facts_module.git(tmp_path / "sub") == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "a").write_text("2")
    assert facts_module.git(tmp_path) == {"commit": git("rev-parse", "HEAD"), "dirty": True}


def test_a_git_that_hangs_or_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    slow = bin_ / "git"
    slow.write_text('#!/bin/sh\ncase "$*" in *status*) exec sleep 30;; *) echo abc;; esac\n')
    slow.chmod(0o755)
    monkeypatch.setattr(facts_module, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    assert facts_module.git(tmp_path) == {"commit": "abc", "dirty": None}
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert facts_module.git(tmp_path) is None


def test_times_are_utc_wherever_they_are_written(tmp_path, monkeypatch):
    """As in the ids of runs: what is listed, logged and kept can be compared by eye."""
    import logging
    import time
    from datetime import UTC, datetime, timedelta

    from bmx.runs import listing, utc
    from bmx.runs import run_id as stamp

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        started = result.start(tmp_path, "train", "net")["started"]
        line = utc.Formatter("%(asctime)s").format(logging.LogRecord("", 0, "", 0, "", (), None))
        noted, run_id = utc.stamp(), stamp.issue(tmp_path)
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    now = datetime.now(UTC)
    assert started.endswith("+00:00")
    for text, form in (
        (started[:19], "%Y-%m-%dT%H:%M:%S"),
        (line, "%Y-%m-%d %H:%M:%SZ"),
        (noted, "%Y-%m-%d %H:%M:%SZ"),
        (run_id[:15], "%Y%m%d-%H%M%S"),
    ):
        assert abs(datetime.strptime(text, form).replace(tzinfo=UTC) - now) < timedelta(hours=1)
    assert listing.ago("2021-01-01T20:00:00-08:00", now) == "2021-01-02"
