"""A search for a target that is stopped, by a user or by the machine, goes on and leaves no process behind."""

import json
import os
import signal
import time

import pytest

from bmx.cli.main import main
from tests.sweep.sweep_trees import Tree

pytestmark = pytest.mark.slow

TRAIN = ("data=digits", "model=mlp", "model.hidden=[64,32]", "batch_size=64", "epochs=3", "plots=false")
WORDS = (
    "compression=pipeline",
    "stages=[prune_structured,low_rank]",
    "target.accuracy_drop=50",
    "target.trials=4",
    "epochs=1",
    "engines=[]",
    "plots=false",
)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_it_goes_on_where_it_was(tmp_path, monkeypatch, how):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *TRAIN]) == 0
    tree = Tree(tmp_path, "compress", "run=latest", *WORDS)
    done = _until_one_is_done(tmp_path)
    os.kill(tree.process.pid, how)
    assert tree.wait(280) == (-how if how == signal.SIGKILL else 130), tree.said
    assert tree.gone(15), "orphans"
    (run,) = tmp_path.glob("outputs/compress/*/*")
    assert json.loads((run / "result.json").read_text())["status"] != "done"
    (run / "trials" / "plots").mkdir(exist_ok=True)  # which a sweep of two trials leaves, and one of one does not
    again = Tree(tmp_path, "compress", f"resume={run.name}")
    assert again.wait() == 0, again.said
    result = json.loads((run / "result.json").read_text())
    measured = [trial for trial in result["trials"] if "reason" not in trial]  # what cannot run does not count
    assert result["status"] == "done" and len(measured) == 4
    assert {file: file.stat().st_mtime_ns for file in done} == done, "a finished trial was done again"


def _until_one_is_done(work):
    deadline = time.monotonic() + 280
    while time.monotonic() < deadline:
        files = work.glob("outputs/compress/*/*/trials/jobs/*/result.json")
        found = {file: file.stat().st_mtime_ns for file in files if '"done"' in file.read_text()}
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("no trial has ended")
