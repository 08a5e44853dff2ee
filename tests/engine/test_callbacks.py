"""Lightning's documented contract of callbacks: each is honoured as documented, or refused before the start."""

import csv
import json
import os
import signal
from pathlib import Path

import pytest
import pytorch_lightning.callbacks
import torch
from pytorch_lightning.callbacks import Callback

import bmx
from bmx.cli.main import main
from bmx.engine.callback_rules import OPTIMISER_HOOKS, STEP_HOOKS, UNCALLED
from bmx.engine.callbacks import make_callbacks
from bmx.errors import RunFailed, UsageError
from tests.engine import user_callbacks
from tests.engine.user_callbacks import HEARD, HOOKS

PL = "pytorch_lightning.callbacks."
OWN = "tests.engine.user_callbacks."
COMMON = ["data=iris", "model=mlp", "model.hidden=[8]", "lr=0.1", "batch_size=40", "plots=false", "trainer.log_every=1"]
STEPS = 3  # of an epoch: 108 training samples
VALIDATION = 12


def train(folder, *nodes, words=(), epochs=2):
    """The result of a run with these callbacks, in ``folder``/run."""
    joined = ", ".join(nodes)
    given = [*COMMON, f"epochs={epochs}", f"outputs={folder}", "name=x", f"trainer.callbacks=[{joined}]", *words]
    run = folder / "run"
    run.mkdir(exist_ok=True)
    return bmx.train(bmx.compose("train", given), run_dir=run, quiet=True)


def node(name, **fields):
    return "{" + ", ".join([f"_target_: {name}", *(f"{key}: {value}" for key, value in fields.items())]) + "}"


def rows(folder):
    with (folder / "run/metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def best(folder):
    return torch.load(folder / "run/checkpoints/best.ckpt", weights_only=True)


# -- every class of pytorch_lightning.callbacks, by its name -----------------------------------------------------------


def no_change(folder, result):
    assert result["status"] == "done"


def rates_logged(folder, result):
    logged = [row for row in rows(folder) if row.get("lr-SGD")]
    assert [float(row["lr-SGD"]) for row in logged] == [0.1] * 2 * STEPS


def throughput_logged(folder, result):
    logged = [row for row in rows(folder) if row.get("train/batches")]
    assert [float(row["train/batches"]) for row in logged] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert [float(row["train/samples"]) for row in logged] == [40, 80, 108, 148, 188, 216]


def checkpoint_kept(folder, result):
    kept = list((folder / "run/model_checkpoints").glob("*.ckpt"))
    assert len(kept) == 1
    content = torch.load(kept[0], weights_only=True)
    assert content["global_step"] == 2 * STEPS
    assert content["bmx"]["epoch_row"]["epoch"] == 2


def averaged(folder, result):
    same_as_evaluated(folder, result)


def nothing_kept(folder, result):
    assert not list(folder.rglob("on_exception*"))


WORK = {
    "Callback": (node(PL + "Callback"), no_change),
    "Checkpoint": (node(PL + "Checkpoint"), no_change),
    "DeviceStatsMonitor": (node(PL + "DeviceStatsMonitor", cpu_stats="false"), no_change),
    "EMAWeightAveraging": (node(PL + "EMAWeightAveraging", decay=0.5), averaged),
    "EarlyStopping": (node(PL + "EarlyStopping", monitor="val/loss"), no_change),
    "LambdaCallback": (
        node(PL + "LambdaCallback", on_train_start="{_target_: tests.engine.user_callbacks._helper, _partial_: true}"),
        None,  # what it calls fails: tested below
    ),
    "LearningRateMonitor": (node(PL + "LearningRateMonitor", logging_interval="step"), rates_logged),
    "ModelCheckpoint": (node(PL + "ModelCheckpoint", monitor="val_loss"), checkpoint_kept),
    "ModelSummary": (node(PL + "ModelSummary"), no_change),
    "OnExceptionCheckpoint": (node(PL + "OnExceptionCheckpoint", dirpath="kept"), nothing_kept),
    "RichModelSummary": (node(PL + "RichModelSummary"), no_change),
    "SpikeDetection": (node(PL + "SpikeDetection", atol=1000.0), no_change),
    "ThroughputMonitor": (
        node(PL + "ThroughputMonitor", batch_size_fn=f"{{_target_: {OWN}batch_size_of, _partial_: true}}"),
        throughput_logged,
    ),
    "Timer": (node(PL + "Timer", duration="'00:01:00:00'"), no_change),
    "WeightAveraging": (node(PL + "WeightAveraging"), averaged),
}
REFUSED = {
    "BackboneFinetuning": ({}, "adds parameters to the optimiser"),
    "BaseFinetuning": ({}, "adds parameters to the optimiser"),
    "BasePredictionWriter": ({}, "a run predicts nothing"),
    "BatchSizeFinder": ({}, "needs Lightning's own batches"),
    "GradientAccumulationScheduler": ({"scheduling": "{0: 2}"}, "needs Lightning to step the optimiser"),
    "LearningRateFinder": ({}, "needs Lightning to step the optimiser"),
    "ModelPruning": ({"pruning_fn": "l1_unstructured"}, "no model file could be loaded with"),
    "ProgressBar": ({}, "bmx shows its own progress"),
    "RichProgressBar": ({}, "bmx shows its own progress"),
    "StochasticWeightAveraging": ({"swa_lrs": "0.01"}, "sets the rate by a scheduler of Lightning's"),
    "TQDMProgressBar": ({}, "bmx shows its own progress"),
}


def test_every_callback_of_lightnings_is_in_the_table():
    assert set(WORK) | set(REFUSED) == set(pytorch_lightning.callbacks.__all__)


@pytest.mark.parametrize("name", [name for name, (_, works) in WORK.items() if works is not None])
def test_a_callback_of_lightnings_works_as_documented(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given, works = WORK[name]
    works(tmp_path, train(tmp_path, given))


@pytest.mark.parametrize("name", REFUSED)
def test_a_callback_that_could_not_work_is_refused_with_the_reason(name):
    fields, reason = REFUSED[name]
    cfg = bmx.compose("train", [*COMMON, f"trainer.callbacks=[{node(PL + name, **fields)}]"])
    with pytest.raises(UsageError, match=reason) as raised:
        make_callbacks(cfg.trainer.callbacks)
    assert name in raised.value.what
    assert raised.value.where == "trainer.callbacks[0]"
    assert raised.value.fix


# -- weights -----------------------------------------------------------------------------------------------------------


def same_as_evaluated(folder, result):
    """The weights that are kept are those that the numbers of the run are of."""
    cfg = bmx.compose("evaluate", [f"run={folder / 'run'}", "split=val", f"outputs={folder}"])
    (folder / "again").mkdir()
    found = bmx.evaluate(cfg, run_dir=folder / "again", quiet=True)
    kept = best(folder)["metrics"]
    assert found["metrics"]["val/loss"] == pytest.approx(kept["val/loss"], rel=1e-5)
    assert found["metrics"]["val/accuracy"] == pytest.approx(kept["val/accuracy"])


@pytest.mark.parametrize("own", [f"{PL}EMAWeightAveraging", f"{PL}WeightAveraging", f"{OWN}OwnAverage"])
def test_the_weights_that_were_validated_are_the_weights_that_are_saved(own, tmp_path):
    result = train(tmp_path, node(own), epochs=4)
    same_as_evaluated(tmp_path, result)
    plain = tmp_path / "plain"
    plain.mkdir()
    train(plain, epochs=4)
    assert best(plain)["metrics"]["train/loss"] == best(tmp_path)["metrics"]["train/loss"]  # the same steps
    assert best(plain)["metrics"]["val/loss"] != best(tmp_path)["metrics"]["val/loss"]  # of other weights


def test_an_average_is_that_of_a_plain_loop(tmp_path):
    """Of the optimiser's weights after every step, as torch computes it."""
    train(tmp_path, node(PL + "WeightAveraging"), f"{{_target_: {OWN}Records}}", epochs=2)
    seen = user_callbacks.Records.weights
    assert len(seen) == 2 * STEPS
    for name, tensor in best(tmp_path)["state_dict"].items():
        if name.startswith("net."):
            torch.testing.assert_close(tensor, torch.stack([weights[name] for weights in seen]).mean(0))


def test_without_a_validation_set_the_average_is_what_is_kept(tmp_path):
    train(tmp_path, node(PL + "EMAWeightAveraging", decay=0.9), words=["data.val_size=0"])
    kept, last = best(tmp_path)["state_dict"], torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    for name in (n for n in kept if n.startswith("net.")):
        assert torch.equal(kept[name], last["state_dict"][name])
        assert not torch.equal(kept[name], last["current_model_state"][name])


@pytest.mark.slow
def test_an_average_goes_on_exactly_after_a_resume(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    callbacks = f"trainer.callbacks=[{node(PL + 'EMAWeightAveraging', decay=0.9)}, {node(OWN + 'Draws')}]"
    words = ["train", *COMMON, "epochs=4", "scheduler=cosine", callbacks]
    assert main([*words, "hydra.run.dir=whole"]) == 0
    for number, (stopped, at) in enumerate([(by_signal, 8), (by_signal, 9), (at_once, 8)]):
        with monkeypatch.context() as patched:
            patched.setattr(user_callbacks.Draws, "on_train_batch_end", stopping_at(at, stopped))
            assert main([*words, f"hydra.run.dir=cut{number}", "checkpoint.every=7"]) == 130
        assert main(["train", f"resume=cut{number}", "checkpoint.every=null", "trust=tests"]) == 0, (
            capsys.readouterr().err
        )
        for name in ("best", "last"):
            files = (f"{run}/checkpoints/{name}.ckpt" for run in ("whole", f"cut{number}"))
            whole, cut = (torch.load(file, weights_only=True) for file in files)
            assert all(torch.equal(tensor, cut["state_dict"][key]) for key, tensor in whole["state_dict"].items())
        assert whole["callbacks"]["Draws"] == cut["callbacks"]["Draws"]
        assert whole["bmx"]["random"]["python"] == cut["bmx"]["random"]["python"]
        texts = [(tmp_path / run / "metrics.csv").read_text() for run in ("whole", f"cut{number}")]
        assert texts[0] == texts[1]


def by_signal():
    os.kill(os.getpid(), signal.SIGTERM)


def at_once():
    raise KeyboardInterrupt


def stopping_at(step, stop):
    original = user_callbacks.Draws.on_train_batch_end

    def hook(self, trainer, pl_module, *rest):
        original(self, trainer, pl_module, *rest)
        if trainer.global_step == step:
            stop()

    return hook


def test_a_run_that_averages_cannot_go_on_without_its_callback(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    stop = node("tests.verbs.stopping.AfterEpoch", epoch=1)
    words = ["train", *COMMON, "epochs=3", f"trainer.callbacks=[{node(PL + 'EMAWeightAveraging')}, {stop}]"]
    assert main([*words, "hydra.run.dir=run"]) == 130
    assert main(["train", "resume=run", "trainer.callbacks=[]"]) == 2
    said = capsys.readouterr().err
    assert "averag" in said
    advised = f"trainer.callbacks=[{node(PL + 'EMAWeightAveraging')}]"
    assert main(["train", "resume=run", advised]) == 0


# -- hooks -------------------------------------------------------------------------------------------------------------


def test_every_hook_is_called_at_its_time_with_what_is_documented(tmp_path):
    HEARD.clear()
    train(tmp_path, node(OWN + "Everything"))
    names = [name for name, *_ in HEARD]
    step = [
        "on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward",
        "on_before_optimizer_step", "on_train_batch_end",
    ]  # fmt: skip
    validation = [
        "on_validation_start", "on_validation_epoch_start", "on_validation_batch_start", "on_validation_batch_end",
        "on_validation_epoch_end", "on_validation_end",
    ]  # fmt: skip
    epoch = ["on_train_epoch_start", *step * STEPS, *validation, "on_train_epoch_end"]
    assert names == ["setup", "on_fit_start", "on_train_start", *epoch * 2, "on_train_end", "on_fit_end", "teardown"]
    called = set(names)
    assert called | set(UNCALLED) | {"on_exception", "on_load_checkpoint"} == set(HOOKS)

    ends = [entry for entry in HEARD if entry[0] == "on_train_batch_end"]
    assert [global_step for _, _, global_step, *_ in ends] == list(range(1, 2 * STEPS + 1))
    assert [epoch for _, epoch, *_ in ends] == [0] * STEPS + [1] * STEPS
    assert [args[2] for *_, args, _, _ in ends] == [*range(STEPS)] * 2  # batch_idx
    for number, (*_, (outputs, batch, _), _, metrics) in enumerate(ends):
        inputs, targets = batch
        assert inputs.shape == (28 if number % STEPS == 2 else 40, 4)
        assert len(targets) == len(inputs)
        if number % STEPS < STEPS - 1:
            assert float(outputs["loss"]) == float(metrics["train/loss"]) == float(metrics["train_loss"])
    (*_, (outputs, batch, index), _, _), *_ = [entry for entry in HEARD if entry[0] == "on_validation_batch_end"]
    assert index == 0
    assert len(batch[1]) == VALIDATION
    assert float(outputs["loss"]) > 0

    written = [row for row in rows(tmp_path) if row["row"] == "epoch"]
    at_end = [entry for entry in HEARD if entry[0] == "on_train_epoch_end"]
    for row, (_, number, steps, _, _, metrics) in zip(written, at_end, strict=True):
        assert (int(row["epoch"]), int(row["step"])) == (number + 1, steps)
        for name in ("train/loss", "train/accuracy", "val/loss", "val/accuracy"):
            part, kind = name.split("/")
            assert float(metrics[name]) == float(metrics[f"{part}_{kind}"]) == float(row[name])
        assert float(metrics["val_acc"]) == float(row["val/accuracy"])


@pytest.mark.parametrize("hook", UNCALLED)
def test_a_hook_that_nothing_calls_is_refused(hook):
    kind = type("Mine", (Callback,), {hook: lambda self, trainer, pl_module, *more: None})
    user_callbacks.Mine = kind
    cfg = bmx.compose("train", [*COMMON, f"trainer.callbacks=[{node(OWN + 'Mine')}]"])
    with pytest.raises(UsageError, match=f"Mine.{hook} would never be called"):
        make_callbacks(cfg.trainer.callbacks)


def test_the_hooks_of_a_lambda_callback_are_hooks(tmp_path):
    fn = f"{{_target_: {OWN}break_here, _partial_: true}}"
    with pytest.raises(UsageError, match="on_test_start would never be called"):
        train(tmp_path, node(PL + "LambdaCallback", on_test_start=fn))
    with pytest.raises(RunFailed, match="LambdaCallback failed: ValueError: as asked") as raised:
        train(tmp_path, node(PL + "LambdaCallback", on_fit_start=fn))
    assert "user_callbacks.py, line" in raised.value.where


def test_a_fit_subclass_keeps_hooks_that_lightning_wrote_for_tests():
    known = set(STEP_HOOKS) | set(OPTIMISER_HOOKS) | set(UNCALLED)
    assert known <= set(vars(Callback))


def test_callbacks_know_how_long_a_run_is(tmp_path):
    train(tmp_path, node(OWN + "Length"))
    assert user_callbacks.Length.seen == {
        "estimated_stepping_batches": 2 * STEPS, "num_training_batches": STEPS, "max_epochs": 2, "val": VALIDATION,
    }  # fmt: skip


# -- stopping ----------------------------------------------------------------------------------------------------------


def test_a_callback_may_end_a_run_and_the_run_says_who_did(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    stop = node(OWN + "Stops", epoch=1)
    assert main(["train", *COMMON, "epochs=9", f"trainer.callbacks=[{stop}]", "hydra.run.dir=run"]) == 0
    said = capsys.readouterr().out
    assert "ended after 2 of" in said and "Stops: it set trainer.should_stop in on_train_epoch_end" in said
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["status"] == "done"
    assert result["epochs"] == 2
    assert result["ended_early"]["reason"].startswith("Stops:")


def test_early_stopping_says_why(tmp_path):
    node_ = node(PL + "EarlyStopping", monitor="val/loss", patience=1, stopping_threshold=99.0)
    result = train(tmp_path, node_, epochs=9)
    assert result["epochs"] == 1
    assert result["ended_early"]["reason"].startswith("EarlyStopping: Stopping threshold reached: val/loss = ")


def test_patience_is_a_reason_too(tmp_path):
    words = ["regularization.patience=1", "lr=1e-12"]
    result = train(tmp_path, words=words, epochs=9)
    assert result["epochs"] < 9
    assert result["ended_early"]["reason"] == "no better val accuracy in an epoch (regularization.patience=1)"


def test_a_run_that_went_to_its_end_was_not_stopped(tmp_path):
    assert "ended_early" not in train(tmp_path, node(OWN + "Stops", epoch=1), epochs=2)


def test_a_stop_within_an_epoch_is_validated(tmp_path):
    result = train(tmp_path, node(OWN + "Stops", hook="on_train_batch_end", step=STEPS + 1), epochs=5)
    assert result["steps"] == STEPS + 1
    assert result["ended_early"]["reason"].startswith("Stops:")
    written = [row for row in rows(tmp_path) if row["row"] == "epoch"]
    assert [row["step"] for row in written] == ["3", "4"]
    assert written[0]["val/loss"] != written[1]["val/loss"]


def test_a_stop_before_the_first_epoch_is_no_result(tmp_path):
    with pytest.raises(RunFailed, match="before its first epoch was: Stops: it set"):
        train(tmp_path, node(OWN + "Stops", hook="on_train_start"))


def test_sys_exit_in_a_callback_is_not_told_as_ctrl_c(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *COMMON, "epochs=2", f"trainer.callbacks=[{node(OWN + 'Exits')}]", "hydra.run.dir=run"]) == 1
    said = capsys.readouterr().err
    assert "the callback Exits left with sys.exit(3)" in said
    assert "user_callbacks.py, line" in said
    assert "Ctrl-C" not in said
    assert json.loads((tmp_path / "run/result.json").read_text())["status"] == "failed"


def test_a_mistake_in_a_callback_is_told_with_its_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *COMMON, "epochs=2", f"trainer.callbacks=[{node(OWN + 'Breaks')}]", "hydra.run.dir=run"]) == 1
    said = capsys.readouterr().err
    assert "the callback Breaks failed: KeyError: 'missing'" in said
    source = Path(user_callbacks.__file__).read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(source, 1) if 'found["missing"]' in text)
    assert f"user_callbacks.py, line {line}, in on_validation_end" in said
    assert "Traceback" in (tmp_path / "run/log.txt").read_text()


# -- what is refused before the start ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (node(PL + "EarlyStopping", monitor="val/los"), "which a run does not have"),
        (node(PL + "EarlyStopping", monitor="val/accuracy"), "its mode is min"),
        (node(PL + "EarlyStopping", monitor="val_acc"), "its mode is min"),
        (node(PL + "EarlyStopping", monitor="val/loss", mode="max"), "its mode is max"),
        (node(PL + "EarlyStopping", monitor="val/loss", mode="best"), "`mode` can be"),
        (node(PL + "EarlyStopping"), "needs 'monitor'"),
        (node(PL + "ModelCheckpoint", monitor="val/f1"), "which a run does not have"),
        (node(PL + "ModelCheckpoint", monitor="val_accuracy"), "its mode is min"),
        (node(PL + "ModelCheckpoint", save_top_k=-7), "Invalid value for save_top_k"),
        (
            node(PL + "ModelCheckpoint", train_time_interval="{_target_: datetime.timedelta, minutes: 1}"),
            "train_time_interval would never save",
        ),
        (node(PL + "Timer", duration="soon"), "not a valid duration"),
        (node(PL + "EarlyStoping", monitor="val/loss"), "has no 'EarlyStoping'"),
        (node("builtins.dict"), "not a callback"),
        (node(OWN + "Unkeepable"), "holds a object"),
        (node(OWN + "NeedsTwo", a=1), "needs 'b'"),
        (node(OWN + "NeedsTwo", a=1, b=2), "a and b do not go together"),
        (node(OWN + "OwnFinetuning"), "adds parameters to the optimiser"),
        (f"{node(PL + 'Timer')}, {node(PL + 'Timer')}", "would keep one state"),
        ("EarlyStopping", "must be a list"),
    ],
)
def test_what_could_not_work_is_refused_and_leaves_nothing(given, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *COMMON, f"trainer.callbacks=[{given}]"]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "trainer.callbacks" in said
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("words", "fix", "better"),
    [
        (["compress_when=during"], "trainer.callbacks", None),
        (["compress_when=after", "tuning_epochs=2"], "or use tuning_epochs=0", "tuning_epochs=0"),
    ],
)
def test_an_average_over_weights_that_are_being_pruned_is_refused(words, fix, better, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["train", *COMMON, "epochs=1", "compression=prune", *words]
    averaging = f"trainer.callbacks=[{node(PL + 'EMAWeightAveraging')}]"
    assert main([*words, averaging]) == 2
    said = capsys.readouterr().err.splitlines()
    assert "EMAWeightAveraging would average weights from before and after they are pruned" in said[0]
    assert said[1].endswith("trainer.callbacks")
    assert "leave EMAWeightAveraging out" in said[2] and said[2].endswith(fix)
    assert not (tmp_path / "outputs").exists()
    assert main([*words, "--plan"]) == 0
    if better is not None:
        assert main([*words, averaging, better, "--plan"]) == 0


def test_nothing_can_follow_a_validation_that_is_not_made(tmp_path):
    with pytest.raises(UsageError, match="nothing is held out"):
        train(tmp_path, node(PL + "EarlyStopping", monitor="val/loss"), words=["data.val_size=0"])
    assert train(tmp_path, node(PL + "EarlyStopping", monitor="train/loss"), words=["data.val_size=0"])


def test_a_metric_of_ones_own_can_be_followed(tmp_path):
    stopping = node(PL + "EarlyStopping", monitor="mine", mode="max", stopping_threshold=1.5)
    assert train(tmp_path, node(OWN + "LogsOwn"), stopping, epochs=9)["epochs"] == 3


def test_a_state_that_turns_bad_is_told(tmp_path):
    with pytest.raises(RunFailed, match="cannot hold a object") as raised:
        train(tmp_path, node(OWN + "LaterUnkeepable"))
    assert "callbacks.LaterUnkeepable.what" in raised.value.where


def test_a_rate_set_by_a_callback_counts_or_is_refused(tmp_path):
    again = tmp_path / "again"
    again.mkdir()
    result = train(tmp_path, node(OWN + "SetsRate"))
    assert result["status"] == "done"
    assert [float(row["lr"]) for row in rows(tmp_path) if row["row"] == "epoch"] == [0.1, 0.05]
    with pytest.raises(RunFailed, match="a callback has set it"):
        train(again, node(OWN + "SetsRate"), words=["scheduler=cosine"], epochs=3)


def test_parameters_added_by_a_callback_are_refused(tmp_path):
    with pytest.raises(RunFailed, match="2 groups of parameters now"):
        train(tmp_path, node(OWN + "AddsGroup"), words=["scheduler=cosine"])


def test_what_lightnings_callbacks_say_is_heard(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said = [node(PL + "ModelSummary"), node(PL + "EarlyStopping", monitor="val/loss", verbose="true")]
    assert main(["train", *COMMON, "epochs=2", f"trainer.callbacks=[{', '.join(said)}]", "hydra.run.dir=run"]) == 0
    out = capsys.readouterr().out
    assert "Trainable params" in out
    assert "New best score" in out
    assert "Trainable params" in (tmp_path / "run/log.txt").read_text()
