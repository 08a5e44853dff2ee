import json
from pathlib import Path

import pytest

import bmx
from bmx.cli.main import main
from bmx.errors import UsageError
from bmx.verbs.bench.command import bench

QUICK = ["seconds=0.02", "batch_sizes=1,8", "threads=1"]


def measured(*words: str, outputs: Path) -> dict:
    return bench(bmx.compose("bench", [*QUICK, f"outputs={outputs}", *words]), quiet=True)


def test_a_model_that_was_never_trained_needs_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import bmx.data.cifar

    monkeypatch.setattr(bmx.data.cifar, "cifar10", lambda **_: pytest.fail("the data were loaded"))
    words = ["model=torchvision", "model.name=resnet18", "data=cifar10", "batch_sizes=1,2", "check_memory=false"]
    result = measured(*words, outputs=tmp_path)
    (model,) = result["bench"]["subjects"]
    assert result["status"] == "done"
    assert model["input_shape"] == [3, 32, 32]
    assert model["cost"]["parameters"] == 11_181_642
    assert model["cost"]["macs"] == (1_814_073_344 - 512_000) // 49 + 5_120
    assert {t["batch_size"] for t in model["timings"]} == {1, 2}


def test_everything_that_is_promised_is_in_the_result(tmp_path: Path) -> None:
    result = measured("model=lenet5", outputs=tmp_path)
    (model,) = result["bench"]["subjects"]
    assert model["cost"] | {"bytes": 0} == {
        "parameters": 61_706,
        "trainable_parameters": 61_706,
        "frozen_parameters": 0,
        "nonzero_parameters": 61_706,
        "macs": 416_520,
        "bytes": 0,
    }
    for timing in model["timings"]:
        assert 0 < timing["p10"] <= timing["median"] <= timing["p99"]
        assert timing["throughput"] == pytest.approx(timing["batch_size"] / timing["median"])
        assert timing["n"] >= 5
    memory = model["memory"][1]
    assert memory["training_measured"] == pytest.approx(memory["training"], rel=0.05)
    assert sum(layer["macs"] for layer in model["layers"]) == 416_520
    assert sum(layer["share"] for layer in model["layers"]) == pytest.approx(1, abs=0.2)
    assert result["threads"] == 1 and result["device"] == "cpu" and "flags" in result["cpu"]
    (run,) = (tmp_path / "bench").glob("*/*")
    assert json.loads((run / "result.json").read_text())["bench"] == result["bench"]
    assert (run / "plots" / "bench.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "macs"),
    [
        (["model=transformer", "data=language_id"], None),
        (["model=linear", "data=diabetes"], 10),
        (["model=cnn", "data=synthetic", "data.shape=[3,16,16]", "data.classes=4", "data.samples=8"], None),
        (["model=mlp", "regularization=dropout"], 784 * 256 + 256 * 128 + 1280),
    ],
)
def test_any_model_on_any_data(words: list[str], macs: int | None, tmp_path: Path) -> None:
    (model,) = measured(*words, "plots=false", outputs=tmp_path)["bench"]["subjects"]
    assert model["cost"]["macs"] == (macs or model["cost"]["macs"]) > 0
    assert len(model["timings"]) == 2


@pytest.mark.slow
def test_runs_and_files_side_by_side(tmp_path: Path, trained_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "model.pt2"
    outputs = [f"outputs={tmp_path}", "name=two"]
    assert main(["export", f"run={trained_run}", "format=pt2", f"file={file}", *outputs]) == 0
    capsys.readouterr()
    assert main(["bench", f"run={trained_run},{file}", "engines=eager,onnx", *QUICK, *outputs]) == 0
    said = capsys.readouterr().out
    (run,) = (tmp_path / "bench" / "two").iterdir()
    first, second = json.loads((run / "result.json").read_text())["bench"]["subjects"]
    assert [engine["engine"] for engine in first["engines"]] == ["eager", "onnx"]
    assert [engine["engine"] for engine in second["engines"]] == ["pt2"]
    assert first["cost"]["macs"] == second["cost"]["macs"] == 64 * 32 + 320
    accuracy = {engine["metrics"]["accuracy"] for model in (first, second) for engine in model["engines"]}
    assert len(accuracy) == 1
    assert "(pt2)" in said and "batch 8" in said and "samples/s" in said


def test_two_runs_of_one_name_are_told_apart(tmp_path: Path, trained_run: Path) -> None:
    both = f"run=[{trained_run},{trained_run / 'checkpoints' / 'best.ckpt'}]"
    subjects = measured(both, "accuracy=false", "plots=false", outputs=tmp_path)["bench"]["subjects"]
    assert all(trained_run.name in model["name"] for model in subjects)


def test_int8_is_calibrated_on_the_training_set_and_its_accuracy_told(tmp_path: Path, trained_run: Path) -> None:
    words = [f"run={trained_run}", "engines=eager,onnx_int8", "plots=false"]
    (model,) = measured(*words, outputs=tmp_path)["bench"]["subjects"]
    eager, int8 = (engine["metrics"]["accuracy"] for engine in model["engines"])
    assert eager > 0.8 and abs(eager - int8) < 0.05
    assert not model["failures"] and not model["note"]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ([], "nothing to measure"),
        (["model=lenet5", "run=latest"], "both a run and a model"),
        (["model=lenet5", "engines=eager,tensorrt"], "engines must be a list, each one of eager"),
        (["model=lenet5", "batch_sizes=1,0"], "batch_sizes must be a list, each a whole number"),
        (["model=lenet5", "seconds=0"], "seconds must be a number greater than 0"),
        (["model=lenet5", "data=iris"], "reads images"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(words: list[str], what: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=what):
        measured(*words, outputs=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_engine_that_cannot_do_the_model_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bmx.errors import RunFailed
    from bmx.export import engines

    make = engines.make

    def failing(name: str, *arguments: object) -> object:
        if name == "compile":
            raise RunFailed("torch.compile cannot do this model: no gcc")
        return make(name, *arguments)

    monkeypatch.setattr(engines, "make", failing)
    (model,) = measured("model=lenet5", "engines=compile,eager", outputs=tmp_path)["bench"]["subjects"]
    assert model["failures"] == [{"engine": "compile", "reason": "torch.compile cannot do this model: no gcc"}]
    assert {timing["engine"] for timing in model["timings"]} == {"eager"}


@pytest.mark.slow
def test_a_sweep_draws_cost_against_depth_and_width(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["model=cnn", "model.depth=1,2", "model.width=4,8", f"outputs={tmp_path}", *QUICK]
    assert main(["bench", "-m", *words]) == 0
    (plot,) = tmp_path.glob("sweep/*/*/plots/cost.png")
    assert plot.stat().st_size > 20_000
    assert "cost against depth and width" in capsys.readouterr().out
