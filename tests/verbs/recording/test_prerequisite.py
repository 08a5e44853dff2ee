"""Where a training that others need cannot be made."""

import pytest

import bmx
from bmx.errors import UsageError
from bmx.verbs.recording.fit_run import FitJob
from bmx.verbs.recording.prerequisite import trained


def test_a_folder_that_cannot_be_made(tmp_path):
    """It was checked when the command began, and has become a file since."""
    cfg = bmx.compose("train", ["data=iris", "model=mlp", f"outputs={tmp_path / 'outputs'}"])
    (tmp_path / "outputs").write_text("in the way")
    with pytest.raises(UsageError, match="no run can be made here: ") as refused:
        trained(cfg, "teacher", FitJob("train", lambda prepared, run_dir: pytest.fail("begun")), quiet=True)
    assert refused.value.where.startswith(str(tmp_path / "outputs" / "train"))
    assert refused.value.fix == "choose another folder, outputs="
    assert (tmp_path / "outputs").read_text() == "in the way"
