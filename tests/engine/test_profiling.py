"""``profile=true``: what is recorded of runs of any length, and how one ends whose recording cannot be written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bmx.cli.main import main
from bmx.config.folders import conf_dir
from bmx.engine.profiling import RECORD, WAIT, WARM_UP, ProfiledReader, plan

_ROOT = conf_dir().parent
_WORDS = ["train", "data=iris", "model=linear", "plots=false", "profile=true", "checkpoint.every=null"]


@given(st.integers(1, 10_000))
def test_some_steps_of_any_run_are_recorded(steps):
    wait, warm_up, record = plan(steps)
    assert wait >= 0 and warm_up >= 0 and 1 <= record <= RECORD and wait + warm_up + record <= steps
    if steps >= 4 * (WAIT + WARM_UP):
        assert (wait, warm_up, record) == (WAIT, WARM_UP, RECORD)


class _Batches:
    def epoch(self, epoch, start=0):
        yield from range(start, 100)


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 5))
def test_what_was_made_is_recorded_and_nothing_runs_on(tmp_path_factory, planned, made, per_epoch):
    """Whoever takes the batches stops when it has enough, and need not come back for the end of an epoch."""
    folder = tmp_path_factory.mktemp("profile")
    reader = ProfiledReader(_Batches(), folder, torch.device("cpu"), planned)
    done = 0
    while done < made:
        for number, _ in enumerate(reader.epoch(0)):
            torch.ones(2) @ torch.ones(2)
            done += 1
            if number + 1 == per_epoch or done == made:
                break
    reader.close()
    reader.close()
    wait, warm_up, record = plan(planned)
    said = (folder / "table.txt").read_text()
    steps = min(made - wait - warm_up, record)
    assert said.startswith(f"{steps} training step" if steps > 0 else "nothing was recorded: the run ended after")
    if steps > 0:
        events = json.loads((folder / "trace.json").read_text())["traceEvents"]
        assert any(event.get("name", "").startswith("aten::") for event in events)
    assert not torch.autograd.profiler._is_profiler_enabled


@pytest.mark.parametrize("words", [["epochs=1", "batch_size=full"], ["epochs=3", "batch_size=full"], ["epochs=2"]])
def test_a_short_run_is_recorded_too(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*_WORDS, *words]) == 0
    (run,) = (tmp_path / "outputs" / "train").glob("*/*")
    assert re.match(r"\d+ training steps after \d+", (run / "profile" / "table.txt").read_text())
    assert json.loads((run / "profile" / "trace.json").read_text())["traceEvents"]


_CUT = """
import sys
from bmx.engine import profiling
from bmx.cli.main import main
if sys.argv[1] == "full":
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    write = profiling.ProfiledReader._write
    def full(self, recorded):
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        try:
            write(self, recorded)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    profiling.ProfiledReader._write = full
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("why", ["full", "raises"])
def test_a_run_that_fails_while_it_is_recorded_ends_cleanly(why, tmp_path):
    """In a process of its own: a recorder that is left running takes the interpreter down as it ends."""
    words = [*_WORDS, "epochs=20", "batch_size=16"]
    if why == "raises":
        words.append("trainer.callbacks=[{_target_: tests.verbs.stopping.AfterEpoch, epoch: 2}]")
    done = subprocess.run(
        [sys.executable, "-c", _CUT, why, *words],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=600,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), *sys.path]))},
    )  # fmt: skip
    assert done.returncode == (1 if why == "full" else 130), done.stderr
    assert "callback" not in done.stderr and "[W" not in done.stderr
    (run,) = (tmp_path / "outputs" / "train").glob("*/*")
    if why == "full":
        assert len(done.stderr.splitlines()) == 3 and "profile" in done.stderr
        assert not (run / "profile" / "trace.json").exists()
    assert json.loads((run / "result.json").read_text())["status"] == ("failed" if why == "full" else "interrupted")
