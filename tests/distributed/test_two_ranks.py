"""Trainings on two processes, through the real command line: equal to one process, stopped, resumed, refused."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch

from tests.program import done
from tests.sweep.sweep_trees import Tree, until

MLP = ("model=mlp", "data=iris", "lr=0.05", "epochs=4", "plots=false")


def bmx(folder, *words):
    return done(folder, *words, OMP_NUM_THREADS="1")


def weights(run):
    return torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]


def farthest(one, other):
    assert one.keys() == other.keys()
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


def a_rank_of(tree):
    """A process of a tree that trains beside rank 0."""
    (found,) = [pid for pid in tree.pids() if b"_rank" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        # 108 samples in batches of 25: the last has 8; of 107 every rank has another share; parts of parts.
        (*MLP, "batch_size=25", "trainer.accumulate=3"),
        (*MLP, "batch_size=107", "data.val_size=13", "trainer.clip_norm=0.1", "regularization=l2"),
        ("model=mlp", "data=diabetes", "epochs=3", "plots=false", "data.val_size=0"),
        ("model=lenet5", "data=digits", "lr=0.05", "optim=sgd", "epochs=1", "plots=false"),
        ("model=vit", "data=digits", "optim=sgd", "lr=0.05", "epochs=1", "plots=false"),
        ("model=transformer", "data=language_id", "regularization=none", "batch_size=500", "epochs=1", "plots=false"),
    ],
    ids=["accumulate", "clip", "regression", "lenet5", "vit", "transformer"],
)
def test_two_ranks_end_with_the_weights_of_one_process(tmp_path, words):
    # In double precision what is left of the order of sums is far below any difference of gradients.
    words = (*words, "precision=64-true")
    bmx(tmp_path, "train", *words, "hydra.run.dir=one")
    said = bmx(tmp_path, "train", *words, "devices=2", "hydra.run.dir=two")
    assert "2 ranks of 1 thread" in said
    assert farthest(weights(tmp_path / "one"), weights(tmp_path / "two")) < 1e-9
    one, two = (json.loads((tmp_path / run / "result.json").read_text()) for run in ("one", "two"))
    assert two["ranks"] == {"strategy": "ddp", "world_size": 2, "devices": ["cpu", "cpu"]} and "ranks" not in one
    assert two["steps"] == one["steps"]
    for name, value in one["metrics"].items():
        assert two["metrics"][name] == pytest.approx(value, rel=1e-3, abs=1e-4), name


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_bit_for_bit_and_with_one_rank_from_the_same_step(tmp_path):
    words = ["model=lenet5", "data=digits", "regularization=dropout", "epochs=3", "plots=false", "checkpoint.every=10"]
    bmx(tmp_path, "train", *words, "devices=2", "hydra.run.dir=whole")
    run = tmp_path / "cut"
    tree = Tree(tmp_path, "train", *words, "devices=2", f"hydra.run.dir={run}")
    until(lambda: (run / "checkpoints" / "last.ckpt").exists())
    tree.process.kill()
    tree.wait()
    assert tree.gone(240)  # no rank outlives rank 0
    bmx(tmp_path, "train", f"resume={run}")
    whole, cut = weights(tmp_path / "whole"), weights(run)
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    assert (run / "metrics.csv").read_bytes() == (tmp_path / "whole" / "metrics.csv").read_bytes()
    assert "devices 2 → 1" in bmx(tmp_path, "train", f"resume={run}", "devices=1", "epochs=4")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends_all_ranks(tmp_path, number):
    run = tmp_path / "run"
    tree = Tree(tmp_path, "train", *MLP[:3], "epochs=3000", "devices=2", f"hydra.run.dir={run}")
    until(lambda: (run / "checkpoints" / "last.ckpt").exists())
    tree.process.send_signal(number)
    assert tree.wait() == 130
    assert json.loads((run / "result.json").read_text())["status"] == "interrupted"
    assert tree.gone(240)
    assert (run / "checkpoints" / "last.ckpt").exists()


@pytest.mark.slow
def test_a_rank_that_dies_ends_the_run_and_is_named(tmp_path):
    run = tmp_path / "run"
    tree = Tree(tmp_path, "train", *MLP[:3], "epochs=3000", "devices=2", f"hydra.run.dir={run}")
    until(lambda: (run / "checkpoints" / "last.ckpt").exists())
    os.kill(a_rank_of(tree), signal.SIGKILL)
    assert tree.wait() == 1
    said = tree.said
    assert "rank 1 was killed by SIGKILL" in said and "ranks/1.log" in said
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "failed" and "rank 1" in result["reason"]
    bmx(tmp_path, "train", f"resume={run}", f"epochs={result['epochs'] + 1}")


@pytest.mark.slow
def test_jobs_of_a_sweep_have_ranks_of_their_own(tmp_path):
    bmx(tmp_path, "sweep", *MLP, "lr=0.05,0.01", "devices=2")
    results = [json.loads(path.read_text()) for path in tmp_path.glob("outputs/sweep/*/*/jobs/*/result.json")]
    assert [result["ranks"]["world_size"] for result in results] == [2, 2]


@pytest.mark.parametrize(
    "words, what, fix",
    [
        (["batch_size=1"], "a batch of 1 has no 2 parts", "batch_size=2"),
        (["lr=auto"], "lr=auto is measured by one process", "devices=1"),
        (["batch_size=auto"], "batch_size=auto is measured by one process", "devices=1"),
        (["compression=quantize"], "compression is done by one process", "bmx compress"),
        (["--plan"], "a plan measures one process", "leave devices out"),
        (
            ["trainer.callbacks=[{_target_: pytorch_lightning.callbacks.LearningRateMonitor}]"],
            "callbacks are told of the batches of one process",
            "devices=1",
        ),
        (["device=cuda:0"], "device", "devi"),
    ],
)
def test_what_ranks_cannot_do_is_refused_before_anything_is_written(tmp_path, monkeypatch, capsys, words, what, fix):
    from bmx.cli.main import main

    monkeypatch.chdir(tmp_path)
    assert main(["train", *MLP, "devices=2", *words]) == 2
    said = capsys.readouterr().err
    assert what in said and fix in said.partition("do:")[2]
    assert not (tmp_path / "outputs").exists()


def test_an_optimiser_with_a_closure_needs_one_process(tmp_path, monkeypatch, capsys):
    from bmx.cli.main import main

    (tmp_path / "bmx_conf" / "optim").mkdir(parents=True)
    (tmp_path / "bmx_conf" / "optim" / "lbfgs.yaml").write_text("_target_: torch.optim.LBFGS\nlr: 0.1\n")
    monkeypatch.chdir(tmp_path)
    assert main(["train", *MLP, "optim=lbfgs", "devices=2"]) == 2
    assert "LBFGS compares the loss of one process" in capsys.readouterr().err
    assert not (tmp_path / "outputs").exists()
