"""bmx train and bmx evaluate as a user meets them, on small real data."""

import csv
import json
import math

import pytest
import torch

import bmx
from bmx.cli.main import main
from bmx.errors import UsageError

QUICK = ["data=digits", "model=mlp", "model.hidden=[32]", "batch_size=64", "epochs=2", "plots=false"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def only_run(folder, verb="train"):
    (found,) = (folder / "outputs" / verb).glob("*/*")
    return found


def result_of(run):
    return json.loads((run / "result.json").read_text())


def test_a_run_directory_holds_what_it_promises(here, capsys):
    assert main(["train", *QUICK, "plots=true", "trainer.log_every=5"]) == 0
    run = only_run(here)
    result = result_of(run)
    assert result["status"] == "done" and result["epochs"] == 2
    assert result["cost"]["parameters"] == 64 * 32 + 32 + 32 * 10 + 10
    assert result["cost"]["macs"] == 64 * 32 + 32 * 10
    assert result["data"]["train"] + result["data"]["val"] + result["data"]["test"] == 1797
    assert result["choices"]["model"] == "mlp"
    confusion = result["test"]["confusion"]
    hits, n = sum(confusion[i][i] for i in range(10)), sum(map(sum, confusion))
    assert hits / n == pytest.approx(result["metrics"]["test/accuracy"])
    for name in ("curves", "confusion", "per_class", "mistakes"):
        assert (run / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = [row for row in rows if row["row"] == "step"]
    epochs = [row for row in rows if row["row"] == "epoch"]
    assert len(epochs) == 2 and len(steps) == 2 * (result["steps"] // 2 // 5)
    assert all(float(row["train/loss"]) > 0 for row in rows)
    assert "epoch 1  step 5/" in (run / "log.txt").read_text()
    assert "test accuracy" in capsys.readouterr().out


def test_evaluate_gives_the_same_numbers_to_the_digit(here):
    assert main(["train", *QUICK]) == 0
    trained = result_of(only_run(here))
    assert main(["evaluate", "run=latest", "plots=false"]) == 0
    test = result_of(only_run(here, "evaluate"))
    assert test["metrics"] == {k: v for k, v in trained["metrics"].items() if k.startswith("test/")}
    assert test["test"] == trained["test"]
    assert main(["evaluate", "run=latest", "split=val", "plots=false"]) == 0
    newest = max((here / "outputs/evaluate").glob("*/*"), key=lambda run: run.name)
    assert result_of(newest)["metrics"]["val/accuracy"] == pytest.approx(trained["best"]["value"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run=nothing"], "nothing"),
        (["split=tests"], "did you mean"),
        (["data=iris"], "the model was trained on kind image"),
        (["device=cuda"], "there is no cuda device"),
        (["device=cuda:x"], "device"),
    ],
)
def test_evaluate_refuses_what_cannot_be(here, capsys, words, told):
    assert main(["train", *QUICK]) == 0
    assert main(["evaluate", *words]) == 2
    assert told in capsys.readouterr().err
    assert not (here / "outputs/evaluate").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["batch_size=5000"], "larger than the training set of"),
        (["epochs=0"], "epochs must be"),
        (["data.val_size=0", "regularization.patience=3"], "early stopping needs a validation set"),
        (["regularization.dropout=1.5"], "dropout"),
        (["trainer.accumulate=0"], "trainer.accumulate must be a whole number, 1 or more, not 0"),
        (["trainer.clip_norm=-1"], "trainer.clip_norm must be a number greater than 0, or null, not -1"),
        (["model=transformer"], "these data have no vocabulary"),
        (["model=linear", "regularization=dropout"], "has no dropout"),
        (["model.activation=rely"], "relu"),
        (["model._target_=bmx.models.mlp.MLPP"], "did you mean bmx.models.mlp.MLP"),
        (["+model.wdth=3"], "has no field 'wdth'"),
        (["model.hidden=wide"], "model.hidden must be a list, each a whole number, 1 or more, not 'wide'"),
        (["optim.momentum=-1"], "momentum"),
        (["scheduler=cosine", "scheduler.warmup=5"], "leaves nothing of 2 epochs"),
        (["scheduler=step", "scheduler.every=0"], "scheduler.every must be a whole number, 1 or more, not 0"),
        (["checkpoint.every=soon"], "checkpoint.every must be"),
        (["precision=16-mixed", "device=cpu"], "16-mixed needs a GPU"),
        (["init_from=nowhere"], "nowhere"),
        (["data.in_memory=perhaps"], "data.in_memory must be"),
    ],
)
def test_a_wrong_command_is_three_lines_and_leaves_nothing(here, capsys, words, told):
    names = {word.partition("=")[0].lstrip("+") for word in words}
    if "model" in names:
        names.add("model.hidden")
    assert main(["train", *(word for word in QUICK if word.partition("=")[0] not in names), *words]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert told in "\n".join(error)
    assert error[0].startswith("bmx: ") and len(error) <= 3
    assert list(here.iterdir()) == []


def test_without_a_validation_set_the_last_epoch_is_kept(here):
    assert main(["train", *QUICK, "data.val_size=0"]) == 0
    result = result_of(only_run(here))
    assert result["best"] == {"epoch": 2, "metric": None, "value": None}
    assert result["data"]["val"] == 0


def test_early_stopping_stops(here):
    assert main(["train", *QUICK, "epochs=60", "lr=0.5", "regularization.patience=2"]) == 0
    result = result_of(only_run(here))
    assert result["epochs"] == result["best"]["epoch"] + 2 < 60


def test_weights_of_another_run_are_the_start_of_a_new_one(here):
    assert main(["train", *QUICK]) == 0
    first = only_run(here)
    assert main(["train", *QUICK, "init_from=latest", "epochs=1", "lr=1e-12", "name=again"]) == 0
    (second,) = (here / "outputs/train/again").glob("*")
    before, after = (torch.load(r / "checkpoints/best.ckpt", weights_only=True)["state_dict"] for r in (first, second))
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor)
    assert main(["train", *QUICK, "init_from=latest", "model.hidden=[16]"]) == 2


def test_a_single_unit_learns_as_the_formulas_say(here):
    """Logistic regression by gradient descent against the closed-form gradient of binary cross-entropy."""
    assert main(["train", "experiment=logistic_gd", "epochs=50", "plots=false"]) == 0
    state = torch.load(only_run(here) / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    first = bmx.compose("train", ["experiment=logistic_gd"])
    from bmx.engine.fit import build_net
    from bmx.engine.prepare import prepare

    prepared = prepare(first)
    net = build_net(prepared)
    w, b = (p.detach().double().clone() for p in net.parameters())
    x = prepared.data.train.inputs.double()
    x = (x - x.mean(0)) / x.std(0, correction=0)
    y = prepared.data.train.targets.double()
    for _ in range(50):
        error = torch.sigmoid(x @ w[0] + b) - y
        w, b = w - 0.01 * (error @ x / len(y))[None], b - 0.01 * error.mean()
    torch.testing.assert_close(state["net.head.weight"].double(), w, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(state["net.head.bias"].double().squeeze(), b.squeeze(), rtol=1e-4, atol=1e-6)


def test_regression_reports_its_own_metrics(here, capsys):
    assert main(["train", "experiment=linear_gd", "epochs=20"]) == 0
    metrics = result_of(only_run(here))["metrics"]
    assert {"test/rmse", "test/mae", "test/r2", "val/rmse"} <= metrics.keys()
    assert metrics["test/rmse"] == pytest.approx(math.sqrt(metrics["test/loss"]), rel=1e-4)


def test_profile_says_where_the_time_went(here):
    assert main(["train", *QUICK, "profile=true"]) == 0
    run = only_run(here)
    assert "addmm" in (run / "profile/table.txt").read_text()
    assert json.loads((run / "profile/trace.json").read_text())["traceEvents"]


def test_auto_finds_a_rate_and_a_size_and_writes_them_down(here):
    assert main(["train", *QUICK, "lr=auto", "epochs=3"]) == 0
    result = result_of(only_run(here))
    assert 1e-5 < result["found"]["lr"] < 1
    assert f"lr: {result['found']['lr']}" in (only_run(here) / "config.yaml").read_text()
    assert result["metrics"]["test/accuracy"] > 0.5
    assert main(["train", *(w for w in QUICK if "batch" not in w), "batch_size=auto", "name=sized"]) == 0
    (sized,) = (here / "outputs/train/sized").glob("*")
    size = result_of(sized)["found"]["batch_size"]
    assert 1 <= size <= 64 and size & (size - 1) == 0


def test_low_precision_trains(here):
    assert main(["train", *QUICK, "precision=bf16-mixed"]) == 0
    assert result_of(only_run(here))["metrics"]["test/accuracy"] > 0.3


def test_double_precision_trains_and_evaluates(here):
    assert main(["train", *QUICK, "precision=64-true"]) == 0
    assert main(["evaluate", "plots=false"]) == 0
    assert result_of(only_run(here, "evaluate"))["precision"] == "64-true"


def test_load_returns_a_model_for_raw_samples(here):
    assert main(["train", *QUICK]) == 0
    model = bmx.load("latest")
    from bmx.data.digits import digits

    test = digits().test
    with torch.no_grad():
        accuracy = (model(test.inputs).argmax(1) == test.targets).float().mean().item()
    assert accuracy == pytest.approx(result_of(only_run(here))["metrics"]["test/accuracy"])
    assert model.spec.labels == tuple("0123456789")
    with pytest.raises(UsageError):
        bmx.load("nothing")


def test_several_loggers_get_the_same_rows(here):
    pytest.importorskip("tensorboard")
    assert main(["train", *QUICK, "logger=[csv,tensorboard]"]) == 0
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = only_run(here)
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    with (run / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["row"] == "epoch"]
    logged = events.Scalars("val/loss")
    assert [e.step for e in logged] == [int(row["step"]) for row in rows]
    assert [e.value for e in logged] == pytest.approx([float(row["val/loss"]) for row in rows])


def test_wandb_works_offline(here):
    pytest.importorskip("wandb")
    assert main(["train", *QUICK, "logger=wandb"]) == 0
    assert list((only_run(here) / "wandb").glob("offline-run-*/run-*.wandb"))
