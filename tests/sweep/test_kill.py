"""kill -9 at any moment loses no finished job, does none twice, and leaves no process behind."""

import os
import random
import signal
import time

import pytest

from tests.sweep.sweep_jobs import TINY, results, sweeps
from tests.sweep.sweep_trees import Tree, until

pytestmark = pytest.mark.slow
# Long enough that a kill finds jobs in every state: 8 jobs of about a second, two at a time.
JOBS = (*TINY, "epochs=60", "data.samples=400", "trainer.log_every=1", "lr=0.1,0.01,0.001,0.0001", "seeds=2", "jobs=2")


def done_now(work):
    return {
        path.parent.name: path.stat().st_mtime_ns
        for sweep in sweeps(work)
        for path in sweep.glob("jobs/*/result.json")
        if '"status": "done"' in path.read_text()
    }


@pytest.mark.parametrize("whole", [True, False], ids=["the whole tree", "the parent alone"])
def test_ten_kills(work, whole):
    random.seed(0)
    kept: dict[str, int] = {}
    kills = attempts = 0
    for _ in range(40):
        tree, attempts = Tree(work, "sweep", *JOBS), attempts + 1
        if kills < 10:
            # Before the first job, inside of jobs, between them: some attempts die before they have done anything.
            deadline = time.monotonic() + random.uniform(1.0, 9.0)
            while time.monotonic() < deadline and tree.process.poll() is None:
                time.sleep(0.01)
        else:
            tree.wait(300)
        ended = tree.process.poll() is not None
        if not ended:
            kills += 1
            if whole:
                tree.kill()
            else:
                os.kill(tree.process.pid, signal.SIGKILL)
                tree.process.wait()
        assert tree.gone(120), "orphans"
        now = done_now(work)
        assert {key: now.get(key) for key in kept} == kept, "a finished job was lost or done again"
        kept = now
        if ended:
            assert tree.process.returncode == 0, tree.said
            break
    print(f"{kills} kills in {attempts} attempts")
    (sweep,) = sweeps(work)
    found = results(sweep)
    assert len(found) == 8 and all(result["status"] == "done" for result in found.values())
    assert all(result["epochs"] == 60 for result in found.values())


def test_a_killed_job_goes_on_from_its_checkpoint(work):
    words = (*TINY, "epochs=400", "data.samples=400", "lr=0.1,0.01", "jobs=2")
    tree = Tree(work, "sweep", *words)
    until(lambda: sum(1 for _ in work.glob("outputs/sweep/*/*/jobs/*/checkpoints/previous.ckpt")) == 2)
    tree.kill()
    again = Tree(work, "sweep", *words)
    assert again.wait(300) == 0, again.said
    (sweep,) = sweeps(work)
    for result in results(sweep).values():
        assert result["status"] == "done" and len(result["resumed"]) == 1
        assert "going on in epoch" in (sweep / "jobs" / next(iter(results(sweep))) / "job.log").read_text()


def test_a_killed_nursery_does_not_end_the_sweep(work):
    tree = Tree(work, "sweep", *TINY, "epochs=100", "data.samples=400", "lr=0.1,0.01,0.001", "jobs=1", "retries=1")
    until(lambda: len(list(work.glob("outputs/sweep/*/*/jobs/*/checkpoints/last.ckpt"))) == 1)
    nursery = next(
        pid
        for pid in tree.pids()
        if b"bmx.sweep.workers.forkserver" in open(f"/proc/{pid}/cmdline", "rb").read()  # noqa: SIM115, PTH123
    )
    os.kill(nursery, signal.SIGKILL)
    assert tree.wait(200) == 0, tree.said
    (sweep,) = sweeps(work)
    assert [result["status"] for result in results(sweep).values()] == ["done"] * 3
