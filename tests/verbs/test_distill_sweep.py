"""The table after a sweep of distillations."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmx.runs.sweep_jobs import told_apart
from bmx.verbs.distill.sweep_report import report


def row(role, score, metric="accuracy"):
    found = {"role": role, "metrics": {metric: score}}
    return found | ({"agreement": 0.9, "calibration_error": 0.05} if metric == "accuracy" else {})


def job(sweep, number, words, rows, status="done"):
    folder = sweep / "jobs" / str(number)
    folder.mkdir(parents=True)
    result = {"verb": "distill", "status": status, "overrides": words, "distillation": {"rows": rows}}
    (folder / "result.json").write_text(json.dumps(result))


def scores(alone, distilled, metric="accuracy"):
    rows = [("teacher", 0.97), ("alone", alone), ("distilled", distilled)]
    return [row(role, score, metric) for role, score in rows]


def test_the_gain_is_over_the_student_of_the_same_seed(tmp_path, capsys):
    # Alone the seeds differ by far more than distillation gains with each of them.
    for seed, alone in enumerate((0.80, 0.90, 0.70)):
        job(tmp_path, 2 * seed, ["distillation=kd", f"seed={seed}"], scores(alone, alone + 0.02 + 0.001 * seed))
        job(tmp_path, 2 * seed + 1, ["distillation=dkd", f"seed={seed}"], scores(alone, 0.80))
    report(tmp_path)
    said = " ".join(capsys.readouterr().out.split())
    # Differences 2.0, 2.1 and 2.2 points: mean 2.1, 4.303 x 0.1 / sqrt(3) = 0.25.
    assert "distillation=kd 3 97.0 80.0 ± 24.8 82.1 ± 24.7 +2.1 ± 0.2 90.0 5.0" in said
    assert "distillation=dkd 3 97.0 80.0 ± 24.8 80.0 +0.0 ± 24.8 90.0 5.0" in said
    assert "pale: the interval of the gain has zero in it" in said


def test_a_single_seed_is_said_to_be_one(tmp_path, capsys):
    job(tmp_path, 0, ["distillation=kd", "epochs=2"], scores(0.8, 0.9))
    job(tmp_path, 1, ["distillation=dkd", "epochs=2"], scores(0.8, 0.7))
    report(tmp_path)
    said = capsys.readouterr().out
    assert "+10.0" in said and "-10.0" in said and "±" not in said and "add seeds=3" in said
    assert "epochs=2" not in said


def test_errors_of_a_regression_are_as_they_are(tmp_path, capsys):
    job(tmp_path, 0, ["seed=0"], scores(55.25, 54.0, "rmse"))
    report(tmp_path)
    said = " ".join(capsys.readouterr().out.split())
    assert "as configured 1 0.97 55.25 54 -1.25" in said and "agreement" not in said and "(RMSE)" in said


@pytest.mark.parametrize("status", ["failed", "done"])
def test_without_a_student_alone_there_is_no_table(tmp_path, capsys, status):
    rows = scores(0.8, 0.9)
    job(tmp_path, 0, [], rows if status == "failed" else [rows[0], rows[2]], status)
    report(tmp_path)
    assert capsys.readouterr().out == ""


WORDS = st.lists(st.lists(st.sampled_from("abcde"), unique=True), min_size=1)


@given(WORDS)
def test_what_tells_jobs_apart_is_what_not_all_have(jobs):
    common = set.intersection(*map(set, jobs))
    for words, own in zip(jobs, told_apart(jobs), strict=True):
        assert own == [word for word in words if word not in common]
