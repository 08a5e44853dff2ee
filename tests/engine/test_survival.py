"""kill -9 at any point, resume, and nothing can be told from a run that was never killed."""

import random

import pytest

from tests.engine.kill_points import compare, leavings, run

COMMON = ["train", "data=digits", "batch_size=64", "plots=false", "trainer.threads=1", "trainer.log_every=10"]
RUNS = {
    "dropout, Adam, one-cycle": [
        *COMMON, "model=mlp", "model.hidden=[32]", "optim=adam", "lr=0.01", "epochs=4", "scheduler=one_cycle",
        "regularization=dropout", "checkpoint.every=7",
    ],
    "plateau, early stopping": [
        *COMMON, "model=linear", "optim=sgd", "lr=0.5", "epochs=12", "scheduler=plateau", "scheduler.patience=0",
        "regularization.patience=2",
    ],
    "SGD, in memory": [*COMMON, "model=mlp", "model.hidden=[32]", "epochs=3", "data.in_memory=true"],
    "SGD, workers": [
        *COMMON, "model=mlp", "model.hidden=[32]", "epochs=3", "data.in_memory=false", "data.workers=2",
        "checkpoint.every=9",
    ],
    "averaged weights, batch by batch": [
        *COMMON, "model=mlp", "model.hidden=[32]", "epochs=3", "scheduler=cosine", "checkpoint.every=7",
        "trainer.callbacks=[{_target_: pytorch_lightning.callbacks.EMAWeightAveraging, decay: 0.9}]",
    ],
}  # fmt: skip
STEPS = 23  # of an epoch


@pytest.fixture(scope="module", params=RUNS)
def whole(request, tmp_path_factory):
    """A command and what it leaves when nothing disturbs it."""
    argv, folder = RUNS[request.param], tmp_path_factory.mktemp("whole")
    assert run([*argv, "hydra.run.dir=run"], folder) == 0, (folder / "output.txt").read_text()
    return argv, leavings(folder / "run")


def killed_and_resumed(argv, points, folder):
    """Runs, kills at each point in turn (resuming in between), and lets the last resume finish."""
    command = [*argv, "hydra.run.dir=run"]
    for point in points:
        if run(command, folder, point) != -9:
            return  # the run ended before the point came: nothing to resume
        command = ["train", "resume=run"]
    assert run(command, folder) == 0, (folder / "output.txt").read_text()


POINTS = [
    "step:0", "step:5", f"step:{STEPS - 1}", f"step:{STEPS}", f"step:{STEPS + 8}", f"step:{2 * STEPS + 3}",
    "validation:1", "validation:2", "before-best:2", "after-best:1", "after-best:2", "half-written:1",
    "half-written:2", "before-rename:2", "after-save:1", "after-save:3", "test",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_leaves_no_trace(whole, point, tmp_path):
    argv, expected = whole
    killed_and_resumed(argv, [point], tmp_path)
    assert compare(expected, leavings(tmp_path / "run")) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_three_kills_in_a_row(whole, seed, tmp_path):
    argv, expected = whole
    steps = sorted(random.Random(seed).sample(range(1, 2 * STEPS), 3))
    killed_and_resumed(argv, [f"step:{step}" for step in steps], tmp_path)
    assert compare(expected, leavings(tmp_path / "run")) == []


def test_a_kill_inside_an_epoch_leaves_no_trace(tmp_path_factory):
    """The short form of the tests above, for every day."""
    argv = RUNS["dropout, Adam, one-cycle"]
    undisturbed, disturbed = tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b")
    assert run([*argv, "hydra.run.dir=run"], undisturbed) == 0, (undisturbed / "output.txt").read_text()
    killed_and_resumed(argv, ["step:40"], disturbed)
    assert compare(leavings(undisturbed / "run"), leavings(disturbed / "run")) == []
