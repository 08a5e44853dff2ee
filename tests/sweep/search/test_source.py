"""What a search asks for next while its jobs are under way, with a plan that composes nothing."""

import pytest

pytest.importorskip("optuna", reason="needs bmx[optuna]")

from bmx.sweep.grid import Words
from bmx.sweep.job import Job
from bmx.sweep.job_status import JobState
from bmx.sweep.objective import Objective
from bmx.sweep.plan import Plan
from bmx.sweep.search.loop import Search
from bmx.sweep.search.space import Dimension, Space
from bmx.sweep.search.study import Study

UP = [Objective("val/accuracy", True)]


class Bare(Plan):
    """A plan whose jobs are known by their points."""

    def job(self, point, seed):
        return Job(" ".join(point.values()), (), dict(point), seed), None


@pytest.fixture
def search(tmp_path):
    words = Words(fixed=(), swept={}, seeds=())
    plan = Bare("train", words, None, (), (), UP, tmp_path, True, ())
    plan.space = Space((Dimension("lr", low=0.1, high=1.0),))
    study = Study(tmp_path, "test", UP, "random")
    yield Search(plan, tmp_path, study, trials=3, deadline=None, prunes=False)
    study.close()


def test_a_job_that_could_not_run_is_made_up_for_though_the_rest_had_ended(search):
    jobs = [search.next() for _ in range(3)]
    assert None not in jobs and search.next() is None and not search.exhausted()
    for job in jobs[:2]:
        search.finished(job, JobState("failed", {}, "diverged"))
        assert search.next() is None and not search.exhausted()
    search.finished(jobs[2], JobState("refused", {}, "too small"))
    another = search.next()
    assert another is not None
    search.finished(another, JobState("failed", {}, "diverged"))
    assert search.next() is None and search.exhausted() and not search.why


def test_a_space_in_which_nothing_can_run_comes_to_an_end(search):
    asked = 0
    while (job := search.next()) is not None:
        asked += 1
        search.finished(job, JobState("refused", {}, "too small"))
    assert search.exhausted() and asked == 40
    assert search.why == "40 jobs in a row could not run"
