from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bmx.runs.metrics_csv import epoch_rows, read_rows

FILE = """row,epoch,step,train/loss,val/loss
step,1,10,2.25,
step,1,20,1.5,
epoch,1,36,1.75,1.625
step,2,40,0.875,
epoch,2,72,0.5,nan
"""


def test_rows_hold_what_was_logged(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(FILE)
    rows = read_rows(tmp_path / "m.csv")
    assert rows[0] == {"row": "step", "epoch": 1, "step": 10, "train/loss": 2.25}
    assert [row["epoch"] for row in epoch_rows(rows)] == [1, 2]
    assert rows[2]["val/loss"] == 1.625


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, len(FILE)))
def test_a_file_cut_anywhere_gives_its_whole_lines(tmp_path: Path, at: int) -> None:
    path = tmp_path / "m.csv"
    path.write_text(FILE)
    all_rows = [str(row) for row in read_rows(path)]
    path.write_text(FILE[:at])
    assert [str(row) for row in read_rows(path)] == all_rows[: max(0, FILE[:at].count("\n") - 1)]


def test_lines_torn_in_the_middle_are_left_out(tmp_path: Path) -> None:
    # A resumed writer went on behind a torn line, a power cut left zeros.
    (tmp_path / "m.csv").write_text(
        "row,epoch,step,a\nstep,1,1,0.5\nstep,1,2,0.5step,1,2,0.25\nstep,1,3\n\0\0\nstep,1,x,2\n"
    )
    assert read_rows(tmp_path / "m.csv") == [{"row": "step", "epoch": 1, "step": 1, "a": 0.5}]


def test_a_new_header_counts_from_there_on(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("row,epoch,a\nepoch,1,2\nrow,epoch,a,b\nepoch,2,3,4\n")
    assert read_rows(tmp_path / "m.csv")[1] == {"row": "epoch", "epoch": 2, "a": 3.0, "b": 4.0}


def test_a_repeated_epoch_counts_once_the_last(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("row,epoch,a\nepoch,1,2\nepoch,2,3\nepoch,2,5\nepoch,3,7\n")
    assert [row["a"] for row in epoch_rows(read_rows(tmp_path / "m.csv"))] == [2.0, 5.0, 7.0]
