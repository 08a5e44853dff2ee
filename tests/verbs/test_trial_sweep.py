"""The search behind a target, in a process of its own: how it ends when it cannot go on."""

import signal

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
    started, popen = [], trial_sweep.subprocess.Popen
    monkeypatch.setattr(
        trial_sweep.subprocess, "Popen", lambda *words, **more: started.append(popen(*words, **more)) or started[0]
    )
    monkeypatch.setattr(trial_sweep.time, "sleep", lambda seconds: started[0].send_signal(signal.SIGINT))
    with pytest.raises(Interrupted, match="stopped while it searched"):
        list(search(tmp_path, "sweep", "-m", "lr=0.1,0.2", "data=iris", "model=mlp", "epochs=3000").run())
