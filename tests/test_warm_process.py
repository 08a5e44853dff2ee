"""A command in a forked process is the command that a user types."""

import os
import signal
import subprocess
import sys
import time

from tests.warm_process import Command, bmx


def test_it_says_and_returns_what_a_fresh_process_does(tmp_path):
    for words in (["--version"], ["train", "model=lenet6"], ["runs", "list"]):
        fresh = subprocess.run([sys.executable, "-m", "bmx", *words], cwd=tmp_path, capture_output=True, text=True)
        warm = bmx(*words, folder=tmp_path)
        assert (warm.code, warm.out, warm.err) == (fresh.returncode, fresh.stdout, fresh.stderr)


def test_it_has_its_own_folder_and_environment(tmp_path):
    (tmp_path / "here").mkdir()
    env = {"BMX_CONF": None, "COLUMNS": "200", "BMX_TEST_MARK": "there"}
    done = bmx("train", "data=iris", "model=linear", "epochs=1", "plots=false", folder=tmp_path / "here", env=env)
    assert done.code == 0 and done.err == "", done.err
    (run,) = (tmp_path / "here").glob("outputs/train/*/*")
    assert (run / "result.json").exists() and "BMX_TEST_MARK" not in os.environ


def test_it_can_be_sent_signals(tmp_path):
    running = Command("train", "data=iris", "model=linear", "epochs=100000", "plots=false", folder=tmp_path)
    while not list(tmp_path.glob("outputs/train/*/*/checkpoints/last.ckpt")):
        assert running.alive, running.said()
        time.sleep(0.05)
    running.send(signal.SIGTERM)
    assert running.wait().code == 130
