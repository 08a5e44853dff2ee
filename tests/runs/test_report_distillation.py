"""What the end of a distillation says, beside its table."""

import pytest

from bmx.runs.report.distillation import doubts


def comparison(teacher, alone, distilled, n=1000):
    rows = [{"role": role, "errors": errors} for role, errors in (("teacher", teacher), ("distilled", distilled))]
    return {"n": n, "rows": [*rows, *([{"role": "alone", "errors": alone}] if alone is not None else [])]}


@pytest.mark.parametrize(
    ("teacher", "alone", "distilled", "said"),
    [
        (10, 100, 30, []),
        (100, 51, 56, ["the teacher makes 100 errors, the student alone 51", "gained nothing"]),
        (20, 44, 30, ["intervals of the two students overlap"]),
        (20, 44, 44, ["gained nothing"]),
        (90, 80, 20, ["the teacher makes 90 errors"]),
        (20, None, 30, []),
    ],
)
def test_doubts_are_told(teacher, alone, distilled, said):
    lines = doubts(comparison(teacher, alone, distilled))
    assert len(lines) == len(said) and all(part in line for part, line in zip(said, lines, strict=True))


def test_regression_has_no_errors_to_count():
    rows = [{"role": role, "metrics": {"rmse": 1.0}} for role in ("teacher", "alone", "distilled")]
    assert doubts({"n": 10, "rows": rows}) == []
