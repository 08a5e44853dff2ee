"""`bmx sweep` from the command line: what is written, said, resumed and refused."""

import csv
import json

import pytest

from bmx.cli.main import main
from tests.sweep.sweep_jobs import TINY, results, sweeps
from tests.sweep.sweep_trees import Tree


def board(sweep):
    with (sweep / "leaderboard.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_grid_with_seeds_then_a_wider_one(work, capsys):
    assert main(["sweep", *TINY, "lr=0.1,0.001", "jobs=2"]) == 0
    said = capsys.readouterr().out
    (sweep,) = sweeps(work)
    first = {key: (sweep / "jobs" / key / "result.json").stat().st_mtime_ns for key in results(sweep)}
    assert len(first) == 2 and "2 of 2 jobs done" in said and "the test set is not used to choose" in said
    assert "again  bmx train" in said and "plots=false" not in said.split("again  ")[1]
    assert [set(row) >= {"rank", "lr", "val/accuracy"} for row in board(sweep)] == [True, True]
    assert (sweep / "plots" / "parallel.png").exists() and (sweep / "plots" / "curves.png").exists()
    kept = json.loads((sweep / "result.json").read_text())
    assert kept["status"] == "done" and kept["jobs"]["done"] == 2 and kept["verb"] == "sweep"

    assert main(["sweep", "-m", *TINY, "lr=0.1,0.001,0.01", "seeds=2", "jobs=2"]) == 0
    said = capsys.readouterr().out
    assert sweeps(work) == [sweep] and "6 jobs, 2 done before" in said and "6 of 6 jobs done" in said
    assert {key: (sweep / "jobs" / key / "result.json").stat().st_mtime_ns for key in first} == first
    assert [row["seeds"] for row in board(sweep)] == ["0 1"] * 3

    assert main(["runs", "list"]) == 0
    assert sweep.name in capsys.readouterr().out


@pytest.mark.slow
def test_a_grid_of_two_keys_on_train_with_a_failing_job(work, capsys, real_nursery):
    # A loss that is no number is found out only while training.
    assert (
        main(["train", "-m", *TINY, "lr=0.1,1e30", "epochs=1,3", "plots=false", "jobs=2", "regularization.l2=1"]) == 1
    )
    said = capsys.readouterr()
    (sweep,) = sweeps(work)
    states = sorted(result["status"] for result in results(sweep).values())
    assert "failed" in states and states.count("done") >= 2
    assert "failed: epochs=" in said.out and "no longer a finite number" in said.out and "jobs failed" in said.err
    assert (sweep / "plots" / "heat_map.png").exists()


def test_only_what_keeps_to_a_bound_is_ranked(work, capsys):
    words = ["sweep", "model=mlp", "model.hidden=[2],[4],[8]", *TINY[1:], "jobs=2"]
    parameters = {"[2]": 40, "[4]": 78, "[8]": 154}
    assert main([*words, "objective=[accuracy,min:cost/parameters:100]"]) == 0
    said, rows = capsys.readouterr().out, board(sweeps(work)[-1])
    assert {row["model.hidden"]: int(float(row["parameters"])) for row in rows} == parameters
    assert [row["rank"] for row in rows].count("") == 1 and rows[-1]["model.hidden"] == "[8]"
    assert float(rows[-1]["cost/parameters (bound 100)"]) == 154
    assert "only what keeps to parameters of at most 100 is ranked" in said and "came out best" in said
    assert main([*words, "reuse=true", "objective=[accuracy,min:cost/parameters:10]"]) == 0
    said = capsys.readouterr().out
    assert "No configuration keeps to parameters of at most 10; nearest is model.hidden=[2], parameters 40" in said
    assert "again" not in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["lr=0.1,-1"], "lr must be"),
        (["model=linear,lenet6"], "lenet6"),
        (["lr=interval(0.1,1)"], "interval"),
        (["lr=1,2", "jobs=0"], "jobs"),
        (["lr=1,2", "timeout=soon"], "timeout"),
        (["lr=1,2", "on_error=ignore"], "on_error"),
        (["lr=1,2", "retries=-1"], "retries"),
        (["lr=1,2", "objective=test/accuracy"], "test set must not choose"),
        (["lr=1,2", "objective=accuracy:0.9"], "bound alone"),
        (["sweeper=tpe", "lr=1,2", "hydra.sweeper.first=[{lr: 3}]"], "lr cannot be 3"),
        (["lr=1,2", "seeds=2", "seed=1,2"], "exclude"),
        (["sweeper=tpe", "lr=1,2", "trials=0"], "trials"),
        (["sweeper=tpe", "lr=1,2", "pruner=sharp"], "pruner"),
        (["sweeper=nsga2", "lr=1,2", "pruner=median"], "several objectives"),
        (["sweeper=tpe", "lr=0.1"], "nothing to search over"),
        (["sweeper=tpe", "lr=0.1,1", "space=modell"], "modell"),
    ],
)
def test_wrong_commands_write_nothing(work, capsys, words, told):
    if words[0].startswith("sweeper"):
        pytest.importorskip("optuna")
    assert main(["sweep", *words]) == 2
    assert told in capsys.readouterr().err
    assert not (work / "outputs").exists()


def test_every_mistake_is_told_at_once_before_anything_is_written(work, capsys):
    words = [
        "model=transformer,linear",
        "batch_size=20,1000",
        *(word for word in TINY if not word.startswith(("model", "batch"))),
    ]
    assert main(["sweep", *words]) == 2
    said = capsys.readouterr().err
    assert "token" in said and "larger than the training set" in said and "3 of the 4 choices" in said
    assert not (work / "outputs").exists()


@pytest.mark.slow
def test_reuse_takes_finished_jobs_of_another_sweep(work, capsys):
    assert main(["sweep", *TINY, "lr=0.1,0.01", "jobs=2"]) == 0
    assert main(["sweep", *TINY, "lr=0.1,0.01", "epochs=1,2", "reuse=true", "jobs=2"]) == 0
    assert "4 jobs, 2 done before (2 in another sweep)" in capsys.readouterr().out
    second = sweeps(work)[1]
    assert sum(path.is_symlink() for path in (second / "jobs").iterdir()) == 2


@pytest.mark.slow
def test_other_sweepers_use_the_pool_too(work, capsys):
    assert main(["sweep", *TINY, "lr=0.1,0.01", "sweeper=basic", "jobs=2"]) == 0
    (sweep,) = sweeps(work)
    assert sorted(path.parent.name for path in sweep.glob("*/result.json")) == ["0", "1"]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib", "submitit_local"])
def test_other_launchers(work, capsys, launcher):
    if launcher != "basic":
        pytest.importorskip(
            f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher", reason=f"needs bmx[{launcher}]"
        )
    words = ["sweep", *TINY, "lr=0.1,0.01", f"launcher={launcher}"]
    assert main(words) == 0
    (sweep,) = sweeps(work)
    first = {key: (sweep / "jobs" / key / "result.json").stat().st_mtime_ns for key in results(sweep)}
    assert len(first) == 2
    if launcher != "basic":  # displays of several processes would overwrite each other
        assert "test accuracy    " not in capsys.readouterr().out
        assert all("test accuracy    " in (sweep / "jobs" / key / "job.log").read_text() for key in first)
    assert main([*words[:-2], "lr=0.1,0.01,0.5", words[-1]]) == 0
    assert "2 done before" in capsys.readouterr().out
    assert {key: (sweep / "jobs" / key / "result.json").stat().st_mtime_ns for key in first} == first
    assert len(board(sweep)) == 3


@pytest.mark.slow
def test_two_terminals_on_one_sweep(work):
    words = ["sweep", *TINY, "epochs=5", "lr=0.1,0.01,0.001", "seeds=3", "jobs=1"]
    trees = [Tree(work, *words) for _ in range(2)]
    assert [tree.wait() for tree in trees] == [0, 0], trees[0].said + trees[1].said
    (sweep,) = sweeps(work)
    found = results(sweep)
    assert len(found) == 9 and all(result["status"] == "done" and "resumed" not in result for result in found.values())
    ran = [tree.said.count("]  done ") for tree in trees]
    assert sum(ran) == 9 and min(ran) >= 1
    assert all(tree.said.count("9 of 9 jobs done") == 1 for tree in trees)
