"""What can go wrong around a run: a clear error or a clean continuation, and nothing lost."""

import json
import os
import pickle
import shutil
import signal
import time

import pytest
import torch

from tests.engine.kill_points import CONTEXT, compare, leavings, run

ARGV = [
    "train", "data=digits", "model=mlp", "model.hidden=[32]", "optim=adam", "lr=0.01", "epochs=3", "batch_size=64",
    "plots=false", "trainer.threads=1", "hydra.run.dir=run",
]  # fmt: skip
LAST, PREVIOUS = "run/checkpoints/last.ckpt", "run/checkpoints/previous.ckpt"


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    assert run(ARGV, folder) == 0
    return leavings(folder / "run")


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory):
    """A run that was killed in its third epoch."""
    folder = tmp_path_factory.mktemp("stopped")
    assert run(ARGV, folder, "step:45") == -9
    return folder


@pytest.fixture
def stopped(stopped_once, tmp_path):
    shutil.copytree(stopped_once, tmp_path / "copy")
    return tmp_path / "copy"


def said(folder):
    return (folder / "output.txt").read_text()


def status(folder):
    return json.loads((folder / "run/result.json").read_text())["status"]


def test_a_damaged_last_checkpoint_falls_back_to_the_one_before_and_says_so(stopped, expected):
    content = (stopped / LAST).read_bytes()
    (stopped / LAST).write_bytes(content[: len(content) // 2])
    assert run(["train", "resume=run"], stopped) == 0, said(stopped)
    assert "last.ckpt is damaged; going on from previous.ckpt" in said(stopped)
    assert compare(expected, leavings(stopped / "run")) == []


def test_no_readable_checkpoint_is_told_and_nothing_is_deleted(stopped):
    for name in (LAST, PREVIOUS):
        (stopped / name).write_bytes(b"not a checkpoint")
    assert run(["train", "resume=run"], stopped) == 1
    assert "no checkpoint of this run can be read" in said(stopped)
    assert (stopped / LAST).read_bytes() == b"not a checkpoint"


def test_a_resumed_run_took_as_long_as_its_processes_together(stopped):
    content = torch.load(stopped / LAST, weights_only=True)
    content["callbacks"]["bmx.watch"] |= {"seconds": 3600.0, "spent": 600.0}
    finished = len(content["callbacks"]["bmx.watch"]["epoch_seconds"])
    torch.save(content, stopped / LAST)
    began = time.monotonic()
    assert run(["train", "resume=run"], stopped) == 0, said(stopped)
    most = time.monotonic() - began
    seconds = json.loads((stopped / "run/result.json").read_text())["seconds"]
    assert 3600 < seconds["fit"] < seconds["total"] < 3600 + most
    assert len(seconds["per_epoch"]) == 3 and 600 < seconds["per_epoch"][finished] < 600 + most


class Evil:
    def __reduce__(self):
        return (os.system, ("touch executed",))


def test_a_checkpoint_that_holds_code_is_not_executed(stopped, expected):
    torch.save({"bmx": Evil()}, stopped / LAST)
    assert b"executed" in (stopped / LAST).read_bytes()
    assert run(["train", "resume=run"], stopped) == 0, said(stopped)
    assert not (stopped / "executed").exists()
    assert compare(expected, leavings(stopped / "run")) == []
    (stopped / "bare.ckpt").write_bytes(pickle.dumps(Evil()))
    assert run(["evaluate", "run=bare.ckpt"], stopped) == 2
    assert not (stopped / "executed").exists()


def test_a_checkpoint_of_another_model_is_refused(stopped, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    assert run([*ARGV, "model.hidden=[16]"], other) == 0
    shutil.copy(other / LAST, stopped / LAST)
    assert run(["train", "resume=run"], stopped) == 2
    assert "another model" in said(stopped) or "model.hidden" in said(stopped)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["seed=1"], 2, "seed cannot change on resume: it was 0"),
        (["model.hidden=[16]"], 2, "model.hidden cannot change on resume"),
        (["batch_size=32"], 2, "batch_size cannot change on resume"),
        (["epochs=1"], 2, "2 epochs of this run are done"),
    ],
)
def test_what_cannot_change_is_refused_and_nothing_is_touched(stopped, words, code, told):
    before = {path: path.read_bytes() for path in (stopped / "run").rglob("*") if path.is_file()}
    assert run(["train", "resume=run", *words], stopped) == code
    assert told in said(stopped)
    after = {path: path.read_bytes() for path in (stopped / "run").rglob("*") if path.is_file()}
    before.pop(stopped / "run/.lock", None), after.pop(stopped / "run/.lock", None)
    assert after == before


def test_more_epochs_are_an_extra_word_that_wins_and_is_recorded(stopped):
    assert run(["train", "resume=run", "epochs=5", "lr=0.001"], stopped) == 0, said(stopped)
    result = json.loads((stopped / "run/result.json").read_text())
    assert result["epochs"] == 5
    assert "lr: 0.001" in (stopped / "run/config.yaml").read_text()
    words = (stopped / "run/.hydra/overrides.yaml").read_text()
    assert "epochs=5" in words and "epochs=3" not in words
    last = torch.load(stopped / LAST, weights_only=True)
    assert last["optimizer_states"][0]["param_groups"][0]["lr"] == 0.001


def in_background(argv, folder, point=None):
    from tests.engine.kill_points import _child

    process = CONTEXT.Process(target=_child, args=(argv, point, str(folder)))
    process.start()
    return process


def wait_for(condition, seconds=240):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


LONG = [*ARGV, "epochs=3000", "checkpoint.every=5"]


def test_two_processes_cannot_write_one_run(tmp_path):
    first = in_background(LONG, tmp_path)
    try:
        wait_for(lambda: (tmp_path / LAST).exists())
        assert run(LONG, tmp_path) == 2
        assert run(["train", "resume=run"], tmp_path) == 2
        assert f"process {first.pid}" in said(tmp_path)
        assert first.is_alive()
    finally:
        first.kill()
        first.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_saves_ends_as_interrupted_and_the_run_goes_on(tmp_path, number):
    first = in_background(LONG, tmp_path)
    wait_for(lambda: (tmp_path / LAST).exists())
    os.kill(first.pid, number)
    first.join(240)
    assert first.exitcode == 130, said(tmp_path)
    assert status(tmp_path) == "interrupted"
    assert "bmx train resume=" in said(tmp_path)
    step = torch.load(tmp_path / LAST, weights_only=True)["bmx"]["steps_done"]
    again = in_background(["train", "resume=run", "epochs=3001"], tmp_path)
    wait_for(lambda: torch.load(tmp_path / LAST, weights_only=True)["bmx"]["steps_done"] > step)
    again.kill()
    again.join()


def _full_disk(argv, folder):
    from tests.engine.kill_points import _child

    calls, real = [], os.fsync

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) > 6:
            raise OSError(28, "No space left on device")
        return real(descriptor)

    os.fsync = fsync
    _child(argv, None, folder)


def test_a_full_disk_fails_clearly_and_the_run_can_go_on(tmp_path, expected):
    process = CONTEXT.Process(target=_full_disk, args=(ARGV, str(tmp_path)))
    process.start()
    process.join(240)
    assert process.exitcode == 1
    assert "could not write" in said(tmp_path) or "could not be written" in said(tmp_path)
    assert "No space left on device" in said(tmp_path).replace("no space", "No space")
    assert run(["train", "resume=run"], tmp_path) == 0, said(tmp_path)
    assert compare(expected, leavings(tmp_path / "run")) == []


def test_a_folder_that_cannot_be_written_is_a_wrong_command(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert run([*ARGV[:-1], "outputs=file"], tmp_path) == 2
    assert said(tmp_path).startswith("bmx: ")
    assert "Traceback" not in said(tmp_path)


def test_a_loss_that_is_not_finite_fails_with_step_rate_and_advice(tmp_path):
    assert run([*ARGV, "optim=sgd", "lr=1e9", "data=synthetic", "batch_size=100"], tmp_path) == 1
    text = said(tmp_path)
    assert "no longer a finite number (epoch 1, step" in text
    assert "lr 1e+09" in text and "lr=1e+08" in text
    assert status(tmp_path) == "failed"


def _clock_jumps(argv, folder):
    import time as clock

    real, jumps = clock.time, iter([0.0, 86_400.0, -86_400.0] * 10_000)
    clock.time = lambda: real() + next(jumps)
    from tests.engine.kill_points import _child

    _child(argv, None, folder)


def test_a_clock_that_jumps_changes_nothing(tmp_path, expected):
    process = CONTEXT.Process(target=_clock_jumps, args=([*ARGV, "checkpoint.every=1s"], str(tmp_path)))
    process.start()
    process.join(240)
    assert process.exitcode == 0
    found = leavings(tmp_path / "run")
    assert compare(expected, found) == []


def test_resume_of_a_run_that_is_done_is_refused_or_harmless(tmp_path, expected):
    assert run(ARGV, tmp_path) == 0
    assert run(["train", "resume=run"], tmp_path) == 0, said(tmp_path)
    assert compare(expected, leavings(tmp_path / "run")) == []


def _slurm_job(argv, folder, restarts):
    os.environ |= {
        "SLURM_JOB_ID": "4711",
        "SLURM_RESTART_COUNT": str(restarts),
        "PATH": f"{folder}:{os.environ['PATH']}",
    }
    from tests.engine.kill_points import _child

    _child(argv, None, folder)


@pytest.mark.slow
def test_a_slurm_job_that_is_told_to_go_is_requeued_and_goes_on(tmp_path):
    """SIGUSR1, as `#SBATCH --signal=SIGUSR1@90` sends it; the same command again is the same run."""
    scontrol = tmp_path / "scontrol"
    scontrol.write_text('#!/bin/sh\necho "$@" >> requeued.txt\n')
    scontrol.chmod(0o755)
    argv = [word for word in LONG if not word.startswith(("epochs", "hydra.run.dir"))]
    job = CONTEXT.Process(target=_slurm_job, args=([*argv, "epochs=300"], str(tmp_path), 0))
    job.start()
    wait_for(lambda: list(tmp_path.glob("outputs/train/*/*/checkpoints/last.ckpt")))
    os.kill(job.pid, signal.SIGUSR1)
    job.join(240)
    assert job.exitcode == 130, said(tmp_path)
    assert (tmp_path / "requeued.txt").read_text() == "requeue 4711\n"
    assert "SLURM job 4711 requeued" in said(tmp_path)
    again = CONTEXT.Process(target=_slurm_job, args=([*argv, "epochs=300"], str(tmp_path), 1))
    again.start()
    again.join(240)
    assert again.exitcode == 0, said(tmp_path)
    (run_dir,) = tmp_path.glob("outputs/train/*/*")
    result = json.loads((run_dir / "result.json").read_text())
    assert result["status"] == "done" and result["epochs"] == 300 and len(result["resumed"]) == 1
