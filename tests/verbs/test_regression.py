"""Regression: targets are standardised while a net learns, and everything that is told is in their own units."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import bmx
from bmx.data.pipeline.output_stage import OutputStage
from bmx.data.tables import diabetes
from bmx.engine.prepare import prepare
from bmx.errors import RunFailed
from bmx.export.reading import load
from bmx.verbs.export.command import export

SPREAD = 77.0  # of the training targets, roughly: an RMSE above it says that nothing was learned


def words(*more: str) -> list[str]:
    return ["data=diabetes", "plots=false", *more]


def train(folder: Path, *more: str) -> tuple[dict, Path]:
    run = folder / "run"
    run.mkdir(parents=True, exist_ok=True)
    return bmx.train(bmx.compose("train", words(*more, f"outputs={folder}")), run_dir=run, quiet=True), run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    return train(tmp_path_factory.mktemp("regression"), "model=mlp", "model.hidden=[16]")


@pytest.fixture(scope="module")
def least_squares() -> float:
    """The RMSE of scikit-learn's linear regression on the same split."""
    from sklearn.linear_model import LinearRegression

    data = prepare(bmx.compose("train", words("model=linear"))).data
    fitted = LinearRegression().fit(data.train.inputs.numpy(), data.train.targets.numpy())
    return math.sqrt(np.mean((fitted.predict(data.test.inputs.numpy()) - data.test.targets.numpy()) ** 2))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["linear", "mlp"])
@pytest.mark.parametrize("optim", ["sgd", "gd", "adam", "adamw", "rmsprop"])
def test_every_optimiser_learns_at_its_own_defaults(
    tmp_path: Path, least_squares: float, model: str, optim: str
) -> None:
    result, _ = train(tmp_path, f"model={model}", f"optim={optim}")
    assert result["metrics"]["test/rmse"] < 1.15 * least_squares < SPREAD
    assert result["metrics"]["test/r2"] > 0.3


def test_losses_are_squares_in_the_units_of_the_targets(trained: tuple[dict, Path]) -> None:
    result, run = trained
    metrics = result["metrics"]
    for split in ("train", "val", "test"):
        assert metrics[f"{split}/loss"] == pytest.approx(metrics[f"{split}/rmse"] ** 2, rel=1e-4)
    table = (run / "metrics.csv").read_text().splitlines()
    assert len(table) > 2 and metrics["val/rmse"] > 30


def test_predictions_are_in_the_units_of_the_targets(trained: tuple[dict, Path]) -> None:
    result, run = trained
    test, model = diabetes().test, bmx.load(run)
    errors = (model(test.inputs).squeeze(1) - test.targets).detach()
    assert float(errors.square().mean().sqrt()) == pytest.approx(result["metrics"]["test/rmse"], rel=1e-5)
    again = bmx.evaluate(bmx.compose("evaluate", [f"run={run}", "plots=false", f"outputs={run.parent}"]), quiet=True)
    for name, value in again["metrics"].items():
        assert value == result["metrics"][name]


@pytest.mark.parametrize(
    ("kind", "preprocessing"),
    [*((kind, where) for kind in ("onnx", "pt2", "safetensors") for where in ("inside", "beside")), ("packed", None)],
)
def test_exported_files_predict_the_same(trained: tuple[dict, Path], kind: str, preprocessing: str | None) -> None:
    _, run = trained
    asked = [f"run={run}", f"format={kind}", f"outputs={run.parent}"]
    asked += [f"preprocessing={preprocessing}"] if preprocessing else []
    file = Path(export(bmx.compose("export", asked), quiet=True)["export"]["file"])
    inputs = diabetes().test.inputs
    exported = load(file)
    torch.testing.assert_close(exported.model(inputs), bmx.load(run)(inputs), rtol=1e-4, atol=1e-2)
    beside = json.loads(next(file.parent.glob("*.json")).read_text()) if kind != "packed" else {}
    if "target_statistics" in beside:
        assert beside["target_statistics"]["scale"][0] == pytest.approx(SPREAD, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["low_rank", "quantize", "prune"])
def test_compressed_models_predict_in_the_same_units(trained: tuple[dict, Path], method: str) -> None:
    result, run = trained
    asked = [f"run={run}", f"compression={method}", "epochs=1", "plots=false", "engines=[eager,onnx]", "seconds=0.01"]
    small = bmx.compress(bmx.compose("compress", [*asked, f"outputs={run.parent}"]), quiet=True)
    assert small["metrics"]["test/rmse"] < 1.4 * result["metrics"]["test/rmse"]


@pytest.mark.slow
def test_a_student_learns_from_predictions_in_any_units(trained: tuple[dict, Path], tmp_path: Path) -> None:
    _, run = trained
    for keep in ("true", "false"):
        asked = [*words("model=mlp", "model.hidden=[8]", f"teacher={run}", "distillation=mse_logits")]
        asked += [f"keep_outputs={keep}", f"outputs={tmp_path / keep}", "baseline=false", "distillation.alpha=0"]
        result = bmx.distill(bmx.compose("distill", asked), quiet=True)
        rows = {row["role"]: row["metrics"]["rmse"] for row in result["distillation"]["rows"]}
        assert rows["distilled"] < SPREAD and rows["teacher"] < SPREAD


def test_bench_measures_in_the_same_units(trained: tuple[dict, Path]) -> None:
    result, run = trained
    asked = [f"run={run}", "engines=[eager,onnx,onnx_int8]", "seconds=0.01", "batch_sizes=[1]", "plots=false"]
    found = bmx.bench(bmx.compose("bench", [*asked, f"outputs={run.parent}"]), quiet=True)
    for engine in found["bench"]["subjects"][0]["engines"]:
        assert engine["metrics"]["rmse"] == pytest.approx(result["metrics"]["test/rmse"], rel=0.1)


def test_models_from_before_are_read_as_they_were(trained: tuple[dict, Path], tmp_path: Path) -> None:
    """Files without statistics of the targets: the net itself gave predictions in their units."""
    _, run = trained
    content = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    for name in [name for name in content["state_dict"] if name.startswith("output_stage.")]:
        del content["state_dict"][name]
    file = tmp_path / "old.ckpt"
    torch.save(content, file)
    old, now, inputs = bmx.load(file), bmx.load(run), diabetes().test.inputs
    torch.testing.assert_close(old(inputs), now.net(now.input_stage(inputs)))
    # What goes on from such weights goes on in their units.
    prepared = prepare(bmx.compose("train", words("model=mlp", "model.hidden=[16]", f"init_from={file}")))
    assert prepared.units().loss_unit == 1


def test_a_run_from_before_is_resumed_as_it_was(tmp_path: Path) -> None:
    more = ["model=linear", "lr=1e-5"]
    _, run = train(tmp_path, *more, "epochs=1")
    last = run / "checkpoints" / "last.ckpt"
    content = torch.load(last, weights_only=True)
    for name in ("output_stage.scale", "output_stage.shift"):
        del content["state_dict"][name]
    torch.save(content, last)
    result, _ = train(tmp_path, *more, "epochs=2", f"resume={run}")
    assert result["epochs"] == 2
    kept = torch.load(last, weights_only=True)["state_dict"]
    assert float(kept["output_stage.scale"]) == 1 and float(kept["output_stage.shift"]) == 0


def test_a_constant_target_is_only_shifted() -> None:
    train = diabetes().train
    spec = diabetes().spec
    constant = type(train)(train.inputs, torch.full_like(train.targets, 7.3))
    stage = OutputStage.fitted(spec, constant)
    assert stage.loss_unit == 1 and torch.isfinite(stage.standardised(constant.targets)).all()


def test_advice_on_the_step_size_is_given_only_where_it_is_the_reason(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="no longer a finite") as caught:
        train(tmp_path / "large", "model=mlp", "lr=1e4")
    assert "smaller step" in caught.value.fix
    with pytest.raises(RunFailed, match="very first step") as caught:
        train(tmp_path / "broken", "model=linear", "~model.bias", "model._target_=tests.verbs.broken_nets.Broken")
    assert "step" not in caught.value.fix
