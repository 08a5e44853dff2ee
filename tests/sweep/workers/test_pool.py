"""The pool, with jobs that need no torch: every way a job can end, and who may run it."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from bmx.sweep import job_status
from bmx.sweep.job import Job
from bmx.sweep.objective import AUTO
from bmx.sweep.progress import PlainProgress
from bmx.sweep.run_jobs import Grid
from bmx.sweep.workers import locks
from bmx.sweep.workers.pool import Pool
from bmx.sweep.workers.processes import Fresh, Nursery
from bmx.sweep.workers.protocols import Rules
from bmx.sweep.workers.resources import Slot
from tests.sweep.sweep_trees import until

HERE = str(Path(__file__).parents[1])


@pytest.fixture(autouse=True)
def _impatient(monkeypatch, real_nursery):
    """Jobs that do not stop when they are asked to are killed at once."""
    monkeypatch.setattr("bmx.sweep.workers.pool.GRACE_SECONDS", 1.0)


@pytest.fixture(params=["forked", "fresh"])
def starter(request, monkeypatch):
    monkeypatch.setattr(sys, "path", [HERE, *sys.path])
    made = Nursery(preload=("json",)) if request.param == "forked" else Fresh()
    yield made
    made.close()


@pytest.fixture
def forked(monkeypatch):
    monkeypatch.setattr(sys, "path", [HERE, *sys.path])
    made = Nursery(preload=("json",))
    yield made
    made.close()


class Recording(Grid):
    """A grid that remembers how its jobs ended."""

    def __init__(self, jobs, hopeless_at=None):
        super().__init__(jobs)
        self.ends = {}
        self.hopeless_at = hopeless_at

    def finished(self, job, end):
        assert job.key not in self.ends, "told twice"
        self.ends[job.key] = end

    def hopeless(self, job, rows):
        return self.hopeless_at is not None and len(rows) >= self.hopeless_at


def run(sweep, starter, behaviours, rules=None, places=2, hopeless_at=None, slots=None, **more):
    jobs = [Job(f"{number}-{what}", (what,), {"job": what}) for number, what in enumerate(behaviours)]
    slots = slots or [Slot(1) for _ in range(places)]
    pool = Pool(
        sweep,
        starter,
        slots,
        rules or Rules(),
        lambda job, run, resume: [str(run), job.words[0]],
        call="sweep_fake_job:main",
        **more,
    )
    source = Recording(jobs, hopeless_at)
    progress = PlainProgress(sweep, [AUTO], len(jobs), places)
    pool.run(source, progress)
    return [source.ends.get(job.key) for job in jobs], pool


def starts(sweep, number):
    return [line for file in (sweep / "jobs").glob(f"{number}-*.starts") for line in file.read_text().splitlines()]


def test_each_end_is_told_apart(tmp_path, starter):
    ends, _ = run(tmp_path, starter, ["good", "raise", "killed", "usage", "good"])
    assert [end.state for end in ends] == ["done", "failed", "failed", "refused", "done"]
    assert "ValueError: no good" in ends[1].reason
    assert "SIGKILL" in ends[2].reason
    assert ends[3].reason == "lr must be positive"
    assert (tmp_path / "jobs" / "0-good" / "job.log").read_text() == "said by the job\n"
    assert "Traceback" in (tmp_path / "jobs" / "1-raise" / "job.log").read_text()
    assert all(
        json.loads((tmp_path / "jobs" / key / "result.json").read_text())["status"] == "failed"
        for key in ("1-raise", "2-killed")
    )


def test_a_job_that_takes_too_long_is_ended(tmp_path, starter):
    (end,), _ = run(tmp_path, starter, ["forever"], Rules(timeout=1))
    assert end.state == "failed" and "longer than 1 s" in end.reason
    assert json.loads((tmp_path / "jobs" / "0-forever" / "result.json").read_text())["status"] == "failed"


@pytest.mark.slow
def test_what_a_killed_job_has_started_dies_with_it(tmp_path, forked):
    run(tmp_path, forked, ["forever"], Rules(timeout=1))
    pid = int(starts(tmp_path, 0)[0].split()[0])

    def group_is_empty():
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            return True
        return False

    until(group_is_empty)


def test_stop_on_error_starts_no_further_job(tmp_path, forked):
    ends, pool = run(tmp_path, forked, ["sleep0.5", "raise", "good", "good"], Rules(stop_on_error=True))
    assert [end and end.state for end in ends] == ["done", "failed", None, None]
    assert pool.stopped


def test_retries(tmp_path, forked):
    ends, _ = run(tmp_path, forked, ["second", "raise", "usage"], Rules(retries=2))
    assert [end.state for end in ends] == ["done", "failed", "refused"]
    assert [len(starts(tmp_path, number)) for number in range(3)] == [2, 3, 1]


def test_done_jobs_are_not_run_again_and_others_are(tmp_path, forked):
    run(tmp_path, forked, ["good", "raise"])
    before = (tmp_path / "jobs" / "0-good" / "result.json").stat().st_mtime_ns
    ends, _ = run(tmp_path, forked, ["good", "raise", "good"])
    assert [end.state for end in ends] == ["done", "failed", "done"]
    assert (tmp_path / "jobs" / "0-good" / "result.json").stat().st_mtime_ns == before


def test_a_done_job_that_lacks_something_is_called_again_and_loses_nothing(tmp_path, forked):
    run(tmp_path, forked, ["good"])
    (tmp_path / "jobs" / "0-good" / "kept").touch()
    ends, _ = run(tmp_path, forked, ["good"], complete=lambda end: "latency" in end.result)
    assert ends[0].state == "done" and len(starts(tmp_path, 0)) == 2
    assert (tmp_path / "jobs" / "0-good" / "kept").exists()


def test_hopeless_jobs_are_ended_and_stay_so(tmp_path, forked):
    ends, _ = run(tmp_path, forked, ["learns"], hopeless_at=3)
    assert ends[0].state == "pruned"
    ends, _ = run(tmp_path, forked, ["learns"])
    assert ends[0].state == "pruned"


def test_each_job_has_its_share(tmp_path, forked):
    slots = [Slot(3, "0"), Slot(3, "1")]
    run(tmp_path, forked, ["together", "together"], slots=slots)
    assert sorted(starts(tmp_path, number)[0].split()[1:] for number in range(2)) == [["0", "3"], ["1", "3"]]


def test_a_job_that_another_process_holds_is_waited_for(tmp_path, forked):
    held = locks.take(tmp_path / "jobs" / "0-good")
    assert locks.take(tmp_path / "jobs" / "0-good") is None
    import threading

    def finish_elsewhere():
        time.sleep(1)
        (tmp_path / "jobs" / "0-good" / "result.json").write_text('{"status": "done", "metrics": {}}')
        held.release()

    threading.Thread(target=finish_elsewhere).start()
    ends, _ = run(tmp_path, forked, ["good", "good"])
    assert [end.state for end in ends] == ["done", "done"]
    assert starts(tmp_path, 0) == [], "the other process has done it"


def test_a_dead_nursery_is_replaced(tmp_path, forked):
    import threading

    def kill_soon():
        until(lambda: starts(tmp_path, 0))
        forked._server.kill()

    threading.Thread(target=kill_soon).start()
    ends, _ = run(tmp_path, forked, ["sleep2", "good"], Rules(retries=1), places=1)
    assert [end.state for end in ends] == ["done", "done"]


def test_an_interrupt_lets_jobs_stop_and_starts_no_other(tmp_path, forked):
    import threading

    def interrupt_soon():
        until(lambda: starts(tmp_path, 0))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_soon).start()
    # One that was waited for would be told as done.
    ends, pool = run(tmp_path, forked, ["sleep100", "good"], places=1)
    assert pool.interrupted == "stopped by Ctrl-C" and ends == [None, None]
    assert job_status.read(tmp_path / "jobs" / "1-good").state == "missing"
