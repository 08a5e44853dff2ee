"""What the end of a distillation says, beside its table."""

import pytest

from bmx.runs.report.distillation import verdict


def comparison(teacher, alone, distilled, n=1000, right=(0, 0)):
    rows = [{"role": role, "errors": errors} for role, errors in (("teacher", teacher), ("distilled", distilled))]
    found = {"n": n, "rows": rows}
    if alone is not None:
        rows.append({"role": "alone", "errors": alone})
        found["only_right"] = dict(zip(("alone", "distilled"), right, strict=True))
    return found


@pytest.mark.parametrize(
    ("teacher", "alone", "distilled", "right", "said"),
    [
        (10, 100, 30, (5, 75), []),
        (100, 51, 56, (15, 10), ["the teacher makes 100 errors, the student alone 51", "gained nothing"]),
        (
            20,
            44,
            30,
            (30, 44),
            ["may be luck: 44 test samples only the distilled student has right, 30 only the other"],
        ),
        # The same errors, and sure: where the two differ it is always the same one that is right.
        (20, 44, 30, (0, 14), []),
        (20, 44, 44, (3, 3), ["gained nothing"]),
        (20, 44, 64, (20, 0), ["did harm"]),
        (90, 80, 20, (0, 60), ["the teacher makes 90 errors"]),
    ],
)
def test_doubts_are_told(teacher, alone, distilled, right, said):
    lines = verdict(comparison(teacher, alone, distilled, right=right))
    doubts = [line for line, doubt in lines if doubt]
    assert len(doubts) == len(said) and all(part in line for part, line in zip(said, doubts, strict=True))
    # What is sure is told too.
    assert len(lines) - len(doubts) == (distilled < alone and not any("luck" in line for line in doubts))


def test_without_a_student_alone_there_is_nothing_to_compare_with():
    assert verdict(comparison(20, None, 30)) == []


def test_regression_has_no_errors_to_count():
    rows = [{"role": role, "metrics": {"rmse": 1.0}} for role in ("teacher", "alone", "distilled")]
    assert verdict({"n": 10, "rows": rows}) == []
