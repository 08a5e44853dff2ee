"""The search behind a target, in a process of its own: how it ends when it cannot go on."""

import os
import signal
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from bmx.errors import Interrupted, RunFailed
from bmx.verbs.compress import trial_sweep
from bmx.verbs.compress.trial_sweep import TrialSweep


def search(folder, *words):
    class Words(TrialSweep):
        def words(self):
            return list(words)

    return Words(OmegaConf.create({"seed": 0}), folder / "search", {"a": 0.1}, ("macs",), 2)


def test_a_search_that_cannot_run_says_why_and_where(tmp_path):
    with pytest.raises(RunFailed, match="the search failed") as caught:
        list(search(tmp_path, "compress", "compresion=low_rank").run())
    log = tmp_path / "search" / "job.log"
    assert caught.value.where == str(log) and "compresion" in log.read_text()
    assert "see its last lines" in caught.value.fix


def test_a_search_that_is_stopped_says_so(tmp_path, monkeypatch):
    def children():
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    words = (folder / "stat").read_text().rpartition(")")[2].split()
                    line = (folder / "cmdline").read_bytes()
                except OSError:
                    continue
                if words[1] == str(os.getpid()) and b"bmx.sweep.workers.child" in line:
                    yield int(folder.name)

    def stop(seconds):
        for child in children():
            os.kill(child, signal.SIGINT)

    monkeypatch.setattr(trial_sweep.time, "sleep", stop)
    with pytest.raises(Interrupted, match="stopped while it searched"):
        list(search(tmp_path, "sweep", "-m", "lr=0.1,0.2", "data=iris", "model=mlp", "epochs=3000").run())
