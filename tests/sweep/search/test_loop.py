"""Searches: their study survives kills, is shared, prunes, and finds what a grid of the same cost does not."""

import math
import warnings

import pytest

from tests.sweep.sweep_jobs import TINY, results, sweeps
from tests.sweep.sweep_trees import Tree

optuna = pytest.importorskip("optuna", reason="needs bmx[optuna]")

from bmx.cli.main import main  # noqa: E402
from bmx.errors import UsageError  # noqa: E402
from bmx.sweep.objective import Objective  # noqa: E402
from bmx.sweep.search.first_points import first_points  # noqa: E402
from bmx.sweep.search.space import Dimension, Space  # noqa: E402
from bmx.sweep.search.study import Study  # noqa: E402

UP = [Objective("val/accuracy", True)]
LR = Dimension("lr", low=1e-4, high=10.0, log=True)
MOMENTUM = Dimension("optim.momentum", low=0.0, high=0.99, given=("optim", "sgd"))
SPACE = Space((LR, Dimension("optim", ("sgd", "adam"))), {("optim", "sgd"): (MOMENTUM,)})


def study(folder, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Study(folder, "test", more.pop("objectives", UP), more.pop("sampler", "tpe"), **more)


@pytest.mark.parametrize("sampler", ["random", "tpe", pytest.param("gp", marks=pytest.mark.slow), "nsga2"])
def test_every_sampler_asks_and_learns(tmp_path, sampler):
    found = study(tmp_path, sampler=sampler)
    space = Space((LR, Dimension("depth", low=1, high=5, whole=True), Dimension("width", ("8", "16"))))
    for _ in range(12):
        trial, point = found.ask(space, 12)
        assert 1e-4 <= float(point["lr"]) <= 10 and 1 <= int(point["depth"]) <= 5 and point["width"] in ("8", "16")
        found.tell(trial, [-abs(math.log10(float(point["lr"])))])
    assert found.ask(space, 12) is None and found.counted() == 12
    assert set(found.importances()) == {"lr", "depth", "width"}
    found.close()


@pytest.mark.parametrize("sampler", ["tpe", pytest.param("gp", marks=pytest.mark.slow)])
def test_a_bound_is_searched_along(tmp_path, sampler):
    """More is better, up to a third; points beyond are worth more and may not be chosen."""
    found, reached = study(tmp_path, sampler=sampler, trials=40), []
    for _ in range(40):
        trial, point = found.ask(Space((Dimension("x", low=0.0, high=1.0),)), 40)
        reached.append(float(point["x"]))
        found.bound(trial, {"x": reached[-1] - 1 / 3})
        found.tell(trial, [reached[-1]])
    assert sum(abs(x - 1 / 3) < 0.1 for x in reached[20:]) >= 10  # at random 4 would be
    assert max(x for x in reached if x <= 1 / 3) > 0.32
    found.close()


def test_known_points_come_first_and_once(tmp_path):
    points = first_points(SPACE, [{"optim": "sgd", "lr": 0.5}, {"optim": "sgd", "optim.momentum": 0.9}])
    found, again = study(tmp_path, first=points), study(tmp_path, first=points)
    one, two, three = (which.ask(SPACE, 5)[1] for which in (found, again, again))
    assert (one["lr"], one["optim"], two["optim.momentum"]) == ("0.5", "sgd", "0.9")
    assert one["optim.momentum"] not in ("0", "0.9") and three not in (one, two)
    for wrong in ({"lr": 11.0}, {"lr": True}, {"optim": "adm"}, {"optim.momentum": 0.9}, {"lrr": 1}, 3):
        with pytest.raises(UsageError):
            first_points(SPACE, [wrong])
    assert first_points(SPACE, [{"optim": "sgd", "optim.momentum": 0}])[0] == {"optim": "sgd", MOMENTUM.name: 0.0}
    found.close()
    again.close()


def test_keys_come_along_with_their_choice_only(tmp_path):
    found = study(tmp_path)
    for _ in range(20):
        trial, point = found.ask(SPACE, None)
        assert ("optim.momentum" in point) == (point["optim"] == "sgd")
        found.tell(trial, [0.5])
    found.close()


def test_what_a_dead_process_left_is_asked_for_again(tmp_path):
    first = study(tmp_path)
    _, left = first.ask(SPACE, 5)
    first.close()  # as the kernel does: the lock is free, the trial still running
    second = study(tmp_path)
    assert second.counted() == 0 and len(second.known()) == 1 and second.told() == []
    trial, point = second.ask(SPACE, 5)
    assert point == left and second.counted() == 1
    second.tell(trial, [0.5])
    assert [one.values for one in second.told()] == [[0.5]]
    second.close()


def test_what_a_living_process_runs_is_left_alone(tmp_path):
    first, second = study(tmp_path), study(tmp_path)
    _, mine = first.ask(SPACE, 5)
    _, other = second.ask(SPACE, 5)
    assert mine != other and second.counted() == 2
    first.close()
    second.close()


def test_what_cannot_run_does_not_count(tmp_path):
    found = study(tmp_path)
    trial, _ = found.ask(SPACE, 1)
    found.tell(trial, None, "refused")
    assert found.counted() == 0 and found.ask(SPACE, 1) is not None
    found.close()


@pytest.mark.parametrize("pruner", ["median", "halving"])
def test_hopeless_trials_are_seen(tmp_path, pruner):
    found = study(tmp_path, pruner=pruner)
    for number in range(8):
        trial, _ = found.ask(SPACE, None)
        rows = [{"epoch": epoch, "val/accuracy": 0.9 - 0.01 * number} for epoch in range(1, 10)]
        found.report(trial, rows, "val/accuracy", 0)
        found.tell(trial, [0.9])
    trial, _ = found.ask(SPACE, None)
    assert found.report(trial, [{"epoch": e, "val/accuracy": 0.1} for e in range(1, 4)], "val/accuracy", 0)
    found.close()


@pytest.mark.slow
def test_a_search_on_the_command_line(work, capsys):
    words = ["sweep", "sweeper=tpe", *TINY, "optim=sgd,adam", "space=optim", "seeds=2", "jobs=2"]
    assert main([*words, "trials=3"]) == 0
    said = capsys.readouterr().out
    (sweep,) = sweeps(work)
    assert len(results(sweep)) == 6 and "6 of 6 jobs done" in said and (sweep / "study.db").exists()
    assert main([*words, "trials=4"]) == 0
    assert sweeps(work) == [sweep] and len(results(sweep)) == 8
    assert "6 done before" in capsys.readouterr().out


@pytest.mark.slow
def test_architecture_search_with_depths_that_do_not_fit(work, capsys):
    words = ["model=cnn", "model.kernel_size=2", "model.depth=range(1,6)", "model.width=choice(2,4)", *TINY[1:]]
    words = [word.replace("[1,4,4]", "[1,12,12]") for word in words]
    assert main(["sweep", "sweeper=nsga2", *words, "trials=6", "jobs=2"]) == 0
    said = capsys.readouterr().out
    (sweep,) = sweeps(work)
    assert "left out of the search, since it cannot run: model.depth=3,4,5" in said
    assert "Pareto front of val accuracy and MACs" in said and (sweep / "plots" / "front.png").exists()


@pytest.mark.slow
def test_two_terminals_on_one_search(work):
    words = ["sweep", "sweeper=random", *TINY, "lr=tag(log,interval(1e-3,1))", "trials=8", "jobs=1"]
    trees = [Tree(work, *words) for _ in range(2)]
    assert [tree.wait() for tree in trees] == [0, 0], trees[0].said + trees[1].said
    (sweep,) = sweeps(work)
    found = results(sweep)
    assert len(found) == 8 and all(result["status"] == "done" and "resumed" not in result for result in found.values())


@pytest.mark.slow
def test_a_killed_search_loses_nothing(work):
    words = ["sweep", "sweeper=tpe", *TINY, "epochs=60", "data.samples=400", "lr=tag(log,interval(1e-3,1))", "trials=6"]
    words += ["jobs=2", "pruner=none"]
    import time

    tree = Tree(work, *words)
    deadline = time.monotonic() + 240
    while not any('"done"' in path.read_text() for path in work.glob("outputs/sweep/*/*/jobs/*/result.json")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    tree.kill()
    again = Tree(work, *words)
    assert again.wait() == 0, again.said
    (sweep,) = sweeps(work)
    assert len(results(sweep)) == 6 and all(result["status"] == "done" for result in results(sweep).values())
