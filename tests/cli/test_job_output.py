"""The output of a job among others is in its log, that of its child processes too, and not on the terminal."""

import subprocess
import sys

import pytest

from bmx.cli.job_output import into


def test_output_goes_into_the_log_and_comes_back(tmp_path, capfd):
    log = tmp_path / "job" / "job.log"
    print("before")
    with into(log):
        print("said größer")
        print("told", file=sys.stderr)
        subprocess.run(["sh", "-c", "echo by a child; echo and its errors >&2"], check=True)
    print("after")
    assert capfd.readouterr() == ("before\nafter\n", "")
    lines = {"said größer", "told", "by a child", "and its errors"}
    assert set(log.read_text(encoding="utf-8").splitlines()) == lines


def test_output_comes_back_after_an_error_and_the_log_is_added_to(tmp_path, capfd):
    log = tmp_path / "job.log"
    log.write_text("first\n")
    with pytest.raises(ValueError), into(log):
        print("second")
        raise ValueError
    print("after", flush=True)
    assert capfd.readouterr().out == "after\n"
    assert log.read_text() == "first\nsecond\n"
