"""Nobody reads what a run says: it stops in good order, or goes on unseen under nohup."""

import json
import os
import signal
import subprocess
import sys

import pytest

from bmx.cli.broken_pipe import Outlet
from tests.warm_process import Command, bmx

WORDS = [
    "train", "data=digits", "model=mlp", "model.hidden=[16]", "plots=false", "trainer.threads=1", "hydra.run.dir=run",
]  # fmt: skip


def started(folder, *words, **how):
    reader, writer = os.pipe()
    command = Command(*WORDS, *words, folder=folder, pipe=writer, **how)
    with os.fdopen(reader) as said:
        line = said.readline()
        os.close(writer)
        assert "parameters" in line
    return command


def ignore_hangups():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def result(folder):
    return json.loads((folder / "run/result.json").read_text())


def test_a_run_whose_reader_has_gone_is_interrupted_and_goes_on_later(tmp_path):
    assert started(tmp_path, "epochs=2000").wait(280).code == 130
    assert result(tmp_path)["status"] == "interrupted"
    assert "nobody reads its output" in result(tmp_path)["reason"]
    assert bmx("train", "resume=run", f"epochs={result(tmp_path)['epochs'] + 2}", folder=tmp_path).code == 0
    assert result(tmp_path)["status"] == "done"


def test_under_nohup_a_run_goes_on_unseen(tmp_path):
    assert started(tmp_path, "epochs=5", first=ignore_hangups).wait(280).code == 0
    assert result(tmp_path)["status"] == "done" and result(tmp_path)["epochs"] == 5


def test_a_page_that_is_not_read_to_its_end_is_no_error(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "bmx", "train", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    assert process.wait(280) == 1 and process.stderr.read() == ""


@pytest.fixture
def handled():
    """The numbers of the signals that came, while SIGHUP was handled; and what ends its being handled."""
    came = []
    before = signal.signal(signal.SIGHUP, lambda number, frame: came.append(number))
    yield came, lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, before)


def test_the_first_write_that_nobody_reads_is_a_hangup_and_the_others_are_dropped(handled):
    came, _ = handled
    reader, writer = os.pipe()
    outlet = Outlet(writer, "w")
    assert outlet.write(b"read") == 4 and os.read(reader, 10) == b"read"
    os.close(reader)
    assert [outlet.write(b"lost"), outlet.write(memoryview(b"too"))] == [4, 3]
    assert came == [signal.SIGHUP]


def test_the_end_of_a_run_that_nobody_reads_is_dropped(handled):
    _, end = handled
    reader, writer = os.pipe()
    outlet = Outlet(writer, "w")
    outlet.write(b"of the run")
    os.close(reader)
    end()
    assert outlet.write(b"its end") == 7


def test_without_a_run_the_write_fails(handled):
    _, end = handled
    end()
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        Outlet(writer, "w").write(b"help")
