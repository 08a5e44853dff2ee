"""A metric of the user's own: a class and a file, and nothing else, through the real command line."""

import json
import textwrap

import pytest

from tests.program import bmx

SMALL = ("model=linear", "data=digits", "epochs=1", "plots=false")


def folder(path, body="return float((outputs.argmax(1) != targets).double().mean() * self.weight)", base="Metric"):
    """A package of the user's with the metric ``mine``: the error rate, of which less is better."""
    source = f"""
        from bmx.metrics.metric import Metric

        class Mine({base}):
            label = "own error"
            higher_is_better = False
            task = "classification"
            percent = True

            def __init__(self, weight=1.0):
                self.weight = weight

            def __call__(self, outputs, targets):
                {body}
        """
    word = """
        # @package metrics.mine
        # The error rate.
        # The class that computes it.
        _target_: my_metrics.Mine
        # What it is multiplied by.
        #: float > 0, such as 1.0
        weight: 1.0
        """
    (path / "my_metrics").mkdir()
    (path / "my_metrics" / "__init__.py").write_text(textwrap.dedent(source))
    (path / "bmx_conf" / "metrics").mkdir(parents=True)
    (path / "bmx_conf" / "metrics" / "mine.yaml").write_text(textwrap.dedent(word))
    return path


def result_of(path, verb):
    (found,) = (path / "outputs" / verb).rglob("result.json")
    return json.loads(found.read_text())


def test_it_is_measured_in_training_and_again(tmp_path):
    folder(tmp_path)
    done = bmx(tmp_path, "train", *SMALL, "metrics=[mine,top_k]", "metrics.top_k.k=2")
    assert done.returncode == 0, done.stderr
    assert "test own error" in done.stdout and "test top-2 accuracy" in done.stdout
    trained = result_of(tmp_path, "train")
    metrics = trained["metrics"]
    assert metrics["test/mine"] == pytest.approx(1 - metrics["test/accuracy"])
    assert metrics["val/mine"] == pytest.approx(1 - trained["best"]["value"])
    assert trained["measures"]["mine"] == {
        "label": "own error",
        "higher_is_better": False,
        "percent": True,
        "share": False,
    }
    again = bmx(tmp_path, "evaluate", "run=latest", "metrics=mcc", "plots=false")
    assert again.returncode == 0, again.stderr
    measured = result_of(tmp_path, "evaluate")["metrics"]
    assert {name: measured[name] for name in metrics if name.startswith("test/")} == {
        name: value for name, value in metrics.items() if name.startswith("test/")
    }
    assert 0 < measured["test/mcc"] < 1


@pytest.mark.slow
def test_a_sweep_chooses_by_it_in_its_own_direction(tmp_path):
    folder(tmp_path)
    words = ("lr=1e-6,1e-2", "metrics=mine", "objective=mine")
    done = bmx(tmp_path, "sweep", "-m", *SMALL, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "own error" in done.stdout
    (board,) = (tmp_path / "outputs").rglob("leaderboard.csv")
    first, second = (line.split(",") for line in board.read_text().splitlines()[1:])
    assert (first[0], first[3], second[3]) == ("1", "0.01", "1e-06")


WRONG = {
    "no metric": ({"base": "dict"}, (), "is not a bmx metric"),
    "fails": ({"body": "return outputs.nothing"}, (), "the metric mine fails: AttributeError"),
    "no such field": ({}, ("+metrics.mine.wieght=2",), "wieght"),
    "out of range": ({}, ("metrics.mine.weight=-1",), "weight"),
    "of another task": ({}, ("data=diabetes",), "mine measures classification, and diabetes is regression"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_measure_is_refused_before_anything_is_written(case, tmp_path):
    changed, words, said = WRONG[case]
    folder(tmp_path, **changed)
    done = bmx(tmp_path, "train", *SMALL, "metrics=mine", *words)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 3, done.stderr
    assert not (tmp_path / "outputs").exists()
