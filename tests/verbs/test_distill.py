"""bmx distill as a user meets it, on small real data."""

import importlib
import json
import sys

import pytest
import torch

import bmx
from bmx.cli.main import main
from bmx.errors import Interrupted, UsageError

QUICK = ["data=digits", "student=mlp", "student.hidden=[8]", "batch_size=64", "epochs=2", "plots=false", "lr=0.1"]

FITNET = ["distillation=fitnet", "distillation.weight=1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def runs(folder, verb="distill"):
    return sorted((folder / "outputs" / verb).glob("*/*/result.json"), key=lambda path: path.parent.name)


def results(folder, verb="distill"):
    return [json.loads(path.read_text()) for path in runs(folder, verb)]


def error_of(words, capsys):
    assert main(["distill", *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    return "\n".join(lines)


def test_teacher_alone_and_distilled_side_by_side(here, trained_run, capsys):
    teacher = f"teacher={trained_run}"
    assert main(["distill", teacher, *QUICK, "plots=true"]) == 0
    (result,) = results(here)
    comparison = result["distillation"]
    assert [row["role"] for row in comparison["rows"]] == ["teacher", "alone", "distilled"]
    taught, alone, distilled = comparison["rows"]
    assert taught["agreement"] == 1.0 and taught["run"].startswith(str(trained_run))
    assert distilled["metrics"]["accuracy"] == result["metrics"]["test/accuracy"]
    assert distilled["parameters"] == alone["parameters"] == 64 * 8 + 8 + 8 * 10 + 10
    assert result["cost"]["parameters"] == distilled["parameters"]
    assert 0 <= distilled["calibration_error"] <= 1 and distilled["latency"]["1"]["median"] > 0
    assert result["parent"] == str(trained_run / "checkpoints" / "best.ckpt")
    run = runs(here)[0].parent
    assert (run / "plots" / "distillation.png").read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    assert "student distilled" in said and "errors in 359 distilled" in said
    # The student is a model like any other, and the run with it.
    assert main(["evaluate", f"run={run}", "plots=false"]) == 0
    assert results(here, "evaluate")[0]["metrics"]["test/accuracy"] == result["metrics"]["test/accuracy"]
    # A second loss takes the student alone from the first, and `latest` is not the student itself.
    assert main(["distill", teacher, *QUICK, "distillation=dkd"]) == 0
    assert len(runs(here, "train")) == 1
    assert results(here)[1]["distillation"]["rows"][1]["metrics"] == alone["metrics"]


def test_the_student_alone_is_what_train_would_have_made(here, trained_run):
    assert main(["distill", f"teacher={trained_run}", *QUICK]) == 0
    (alone,) = results(here, "train")
    words = [word.replace("student", "model") for word in QUICK]
    assert main(["train", *words]) == 0
    plain = results(here, "train")[1]
    assert plain["metrics"] == alone["metrics"]


def test_a_teacher_that_is_a_model_word_is_trained_first_and_once(here):
    words = ["teacher=cnn", "teacher.padding=1", "teacher.width=4", "teacher_words=optim=adam", "teacher_epochs=1"]
    assert main(["distill", *words, *QUICK, "baseline=false"]) == 0
    (teacher,) = results(here, "train")
    config = bmx.load(runs(here, "train")[0].parent).config
    assert (config.model.width, config.optim._target_, config.epochs) == (4, "torch.optim.Adam", 1)
    assert config.batch_size == 64 and teacher["role"] == "teacher"
    assert main(["distill", *words, *QUICK, "baseline=false", "distillation=mse_logits"]) == 0
    assert len(runs(here, "train")) == 1
    rows = [result["distillation"]["rows"] for result in results(here)]
    assert [row["role"] for row in rows[0]] == ["teacher", "distilled"]
    assert rows[0][0]["metrics"] == rows[1][0]["metrics"] != rows[0][1]["metrics"]


@pytest.mark.slow
def test_several_teachers_and_oneself(here, trained_run):
    assert main(["distill", f"teacher={trained_run}", *QUICK, "baseline=false"]) == 0
    first = runs(here)[0].parent
    assert main(["distill", f"teacher={trained_run},{first}", *QUICK, "baseline=false"]) == 0
    rows = results(here)[1]["distillation"]["rows"]
    assert [row["name"] for row in rows[2:]] == ["teachers together", "student distilled"]
    assert rows[2]["parameters"] == rows[0]["parameters"] + rows[1]["parameters"]
    assert rows[2]["agreement"] == 1.0


@pytest.mark.slow
def test_teachers_of_one_word_and_several_seeds(here):
    words = ["teacher=linear", "teacher_seeds=1,0", "teacher_epochs=1", *QUICK, "baseline=false"]
    assert main(["distill", *words]) == 0
    assert {result["seed"] for result in results(here, "train")} == {0, 1}
    (result,) = results(here)
    rows = result["distillation"]["rows"]
    assert [row["name"] for row in rows] == [
        "linear, seed 1",
        "linear, seed 0",
        "teachers together",
        "student distilled",
    ]
    assert result["seed"] == 0 and rows[0]["metrics"] != rows[1]["metrics"]
    # The one of the student's seed is the one that would be made without teacher_seeds.
    assert main(["distill", "teacher=linear", "teacher_epochs=1", *QUICK, "baseline=false"]) == 0
    assert len(runs(here, "train")) == 2


def test_a_student_that_goes_on_from_a_run(here, trained_run):
    student = f"student={trained_run}"
    words = ["data=digits", "batch_size=64", "epochs=1", "plots=false", "lr=1e-9"]
    assert main(["distill", f"teacher={trained_run}", student, *words]) == 0
    (result,) = results(here)
    taught, alone, distilled = result["distillation"]["rows"]
    assert taught["metrics"]["accuracy"] == distilled["metrics"]["accuracy"] == alone["metrics"]["accuracy"]
    assert bmx.load(runs(here)[0].parent).config.model.hidden == [32]


def test_a_student_of_a_run_has_no_fields(here, trained_run, capsys):
    said = error_of(
        [f"teacher={trained_run}", f"student={trained_run}", "data=digits", "student.activation=tanh"], capsys
    )
    assert "taken as it is" in said


@pytest.mark.parametrize(
    ("words", "says", "fix"),
    [
        (["teacher=vti", "student=mlp"], "no word 'vti' in the group 'model'", "teacher=vit"),
        (["teacher=vit", "teacher.widht=3", "student=mlp"], "no key 'teacher.widht'", "teacher.width"),
        (["teacher=vit", "student=mlp", "student.hiden=3"], "no key 'student.hiden'", "student.hidden"),
        (["teacher=vit", "student=mlpp"], "no word 'mlpp'", "student=mlp?"),
        (["student=mlp"], "teacher has no value", "teacher=VALUE"),
        (
            ["teacher=linear", "teacher_seeds=1,1", "student=mlp"],
            "'linear, seed 1' is named twice",
            "teacher_seeds=0,1",
        ),
        (["teacher=linear", "teacher_seeds=[a]", "student=mlp"], "each a whole number", "teacher_seeds=[0]"),
        (["teacher=RUN", "teacher_seeds=[0]", "student=mlp"], "trained already", "teacher_seeds=[], or"),
        (["teacher=RUN", "teacher_epochs=3", "student=mlp"], "trained already", "teacher_epochs=null, or"),
        (["teacher=RUN", "experiment=hinton_distilled", "data=digits"], "trained already", "teacher_words=[], or"),
        (["teacher=RUN", "student=linear", "data=iris"], "10 classes (digits), the data have 3", "iris"),
        (["teacher=RUN", "student=linear", "data=diabetes"], "has none", "mse_logits"),
        (
            ["teacher=RUN", "student=mlp", "distillation=fitnet", "distillation.student_layers=[hiden]"],
            "no layer",
            "hidden",
        ),
        (["teacher=RUN", "student=mlp", "distillation=attention"], "output has positions", "student_layers"),
        (["teacher=RUN,mlp", "student=mlp", "distillation=rkd"], "2 teachers", "kd_std"),
        (
            ["teacher=RUN", "student=mlp", "distillation.temperature=0"],
            "temperature must be a number greater than 0",
            "distillation",
        ),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(here, trained_run, words, says, fix, capsys):
    asked = [word.replace("RUN", str(trained_run)) for word in words]
    said = error_of([*([] if any(w.startswith("data=") for w in words) else ["data=digits"]), *asked], capsys)
    assert says in said and fix in said.splitlines()[-1]
    assert not (here / "outputs").exists()


def test_kept_outputs_change_nothing(here, trained_run):
    weights = []
    for kept in ("true", "false"):
        words = [f"keep_outputs={kept}", f"outputs=kept-{kept}", *FITNET, "trainer.accumulate=3"]
        assert main(["distill", f"teacher={trained_run}", *QUICK, "baseline=false", *words]) == 0
        (run,) = (here / f"kept-{kept}" / "distill").glob("*/*")
        weights.append(torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"])
    assert not any(name.startswith(("learned", "lesson", "teach")) for name in weights[0])
    for name in weights[0]:
        torch.testing.assert_close(weights[0][name], weights[1][name], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_kept_outputs_are_of_this_teacher_with_its_code_as_it_is(here, monkeypatch):
    """Another weight or another line of its own module makes another answer; a comment does not."""
    monkeypatch.setenv("BMX_CACHE", str(here / "cache"))
    monkeypatch.syspath_prepend(str(here))
    code = "from torch import nn\n\n\nclass Net(nn.Sequential):\n    def __init__(self, num_classes: int):\n"
    code += "        super().__init__(nn.Flatten(), nn.Linear(64, num_classes))\n\n"
    code += "    def forward(self, x):\n        return super().forward(x) * 1.0\n"

    def write(text):
        (here / "taught_net.py").write_text(text)
        sys.modules.pop("taught_net", None)
        importlib.invalidate_caches()

    def kept(teacher):
        words = [f"teacher={teacher}", *QUICK, "epochs=1", "baseline=false", "accept_changes=false"]
        assert main(["distill", *words]) == 0
        return {path.name for path in (here / "cache" / "arrays").glob("teacher-*") if path.is_dir()}

    write(code)
    train = ["train", "model=linear", "~model", "+model={_target_: taught_net.Net}", "data=digits", "epochs=1"]
    for seed in (0, 1):
        assert main([*train, "plots=false", f"seed={seed}"]) == 0
    first, second = sorted((here / "outputs" / "train").glob("*/*"))
    assert len(kept(first)) == 1 and len(kept(first)) == 1
    assert len(kept(second)) == 2  # the same configuration with other weights
    write("# A comment.\n" + code)
    assert len(kept(first)) == 2
    write(code.replace("* 1.0", "* 3.0"))
    assert len(kept(first)) == 3
    sys.modules.pop("taught_net", None)


@pytest.mark.parametrize("word", ["teacher_epochs=2", "teacher_seeds=[3]", "teacher_words=[optim=adam]"])
def test_a_run_that_goes_on_keeps_its_teacher(here, word, capsys):
    words = ["teacher=linear", "teacher_epochs=1", *QUICK, "epochs=2", "baseline=false"]
    # The teacher's training takes no callbacks.
    assert main(["distill", *words, "trainer.callbacks=[{_target_: tests.verbs.stopping.AfterEpoch, epoch: 1}]"]) == 130
    said = error_of(["resume=latest", word, "trainer.callbacks=[]"], capsys)
    assert f"{word.partition('=')[0]} cannot change on resume" in said


@pytest.mark.slow
@pytest.mark.parametrize("words", [[*FITNET, "augmentation=jitter"], ["distillation=patient"], ["distillation=crd"]])
def test_a_run_that_was_stopped_ends_with_the_same_weights(here, trained_run, words, monkeypatch):
    """Adapters, augmentation and mixup are part of an exact resume."""
    from bmx.tasks.distill import DistillTask

    command = ["distill", f"teacher={trained_run}", *QUICK, *words, "epochs=2", "baseline=false"]
    assert main([*command, "outputs=whole"]) == 0
    step = DistillTask.batch_loss
    steps = []

    def stopped(self, inputs, targets):
        steps.append(1)
        if len(steps) == 27:  # in the second epoch
            raise Interrupted("stopped by the test")
        return step(self, inputs, targets)

    monkeypatch.setattr(DistillTask, "batch_loss", stopped)
    assert main([*command, "outputs=cut", "checkpoint.every=5"]) == 130
    monkeypatch.setattr(DistillTask, "batch_loss", step)
    assert main(["distill", "resume=latest", "outputs=cut"]) == 0
    states = []
    for folder in ("whole", "cut"):
        (run,) = (here / folder / "distill").glob("*/*")
        last = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
        states.append({**last["state_dict"], **{f"adapter.{k}": v for k, v in last["bmx"]["learned"].items()}})
        assert not any(
            "adapter" in name for name in torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
        )
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    if "distillation=fitnet" in words:
        assert any(name.startswith("adapter.") for name in states[0])


def test_a_class_that_is_left_out_is_told(here, trained_run):
    assert main(["distill", f"teacher={trained_run}", *QUICK, "data.leave_out=[3]", "epochs=1"]) == 0
    (result,) = results(here)
    for entry in result["distillation"]["left_out"]:
        assert entry["classes"] == [3] and entry["n"] > 20
        # Only a teacher can have told of the class.
        assert entry["name"] == "student distilled" or entry["as_is"]["errors_left_out"] == entry["n"]
        assert entry["shifted"]["errors"] <= entry["as_is"]["errors"]


def test_regression_by_squared_difference(here):
    words = ["data=diabetes", "epochs=2", "plots=false", "distillation=mse_logits", "teacher=mlp", "student=linear"]
    assert main(["distill", *words, "lr=1e-4", "teacher_words=lr=1e-4"]) == 0
    (result,) = results(here)
    assert all("rmse" in row["metrics"] and "agreement" not in row for row in result["distillation"]["rows"])


@pytest.mark.slow
def test_a_sweep_over_losses_shares_teacher_and_student_alone(here, trained_run, capsys):
    words = ["teacher=mlp", "teacher.hidden=[16]", "teacher_epochs=1", "distillation=kd,kd_std"]
    assert main(["distill", "-m", *words, "distillation.temperature=2", *QUICK, "epochs=1"]) == 0
    said = capsys.readouterr().out
    assert "2 of 2 jobs done" in said and "the distilled student against the same one alone" in said
    roles = [result["role"] for result in results(here, "train")]
    assert sorted(roles) == ["student alone", "teacher"]


def test_latest_is_neither_distilled_nor_a_comparison(here, trained_run):
    from bmx.config.resolve_runs import write_runs
    from bmx.config.verbs import VERBS

    small = ["data=digits", "model=mlp", "model.hidden=[4]", "epochs=1", "plots=false"]
    assert main(["train", *small]) == 0
    run = runs(here, "train")[0].parent
    assert main(["distill", "teacher=latest", *QUICK, "epochs=1"]) == 0
    (word,) = write_runs(["teacher=latest"], VERBS["distill"])
    assert word == f"teacher=[{run}]"


def test_from_python(here, trained_run):
    result = bmx.distill(bmx.compose("distill", [f"teacher={trained_run}", *QUICK, "baseline=false"]), quiet=True)
    assert result["status"] == "done"
    with pytest.raises(UsageError, match="no run"):
        bmx.distill(bmx.compose("distill", ["teacher=2039", *QUICK]), quiet=True)


def test_every_knob_of_train_is_one_of_distill():
    train, distill = bmx.compose("train"), bmx.compose("distill", ["teacher=mlp"])
    assert {key: value for key, value in train.items() if distill.get(key, value) != value} == {}
    assert {key for key in train if key not in distill} == {"plan", "compress_when", "tuning_epochs", "devices"}
