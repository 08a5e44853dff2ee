"""torch's schedulers by their ``_target_``: each sets the rates that it sets in a plain loop, or is refused."""

import csv
import json

import pytest
import torch
from torch.optim import lr_scheduler

import bmx
from bmx.cli.main import main
from bmx.errors import UsageError

COMMON = ["data=iris", "model=mlp", "model.hidden=[8]", "batch_size=40", "plots=false", "trainer.log_every=1"]
STEPS = 3  # of an epoch: 108 training samples
EPOCHS = 4
LR = 0.1
HERE = "tests.engine.test_torch_schedulers"

# The class, its fields, and whether it moves on after every step.
WORK = {
    "StepLR": ({"step_size": 2}, False),
    "StepLR, every step": ({"step_size": 2, "interval": "step"}, True),
    "MultiStepLR": ({"milestones": [1, 3], "gamma": 0.5}, False),
    "ConstantLR": ({"factor": 0.5, "total_iters": 2}, False),
    "LinearLR": ({"total_iters": 3}, False),
    "ExponentialLR": ({"gamma": 0.5}, False),
    "PolynomialLR": ({"total_iters": EPOCHS, "power": 2.0}, False),
    "CosineAnnealingLR": ({"T_max": EPOCHS}, False),
    "CosineAnnealingLR, every step": ({"T_max": EPOCHS * STEPS, "interval": "step"}, True),
    "CosineAnnealingWarmRestarts": ({"T_0": 2}, False),
    "CyclicLR": ({"base_lr": LR, "max_lr": 0.5, "step_size_up": 2}, True),
    "OneCycleLR": ({"max_lr": LR, "total_steps": EPOCHS * STEPS}, True),
    "LambdaLR": ({"lr_lambda": {"_target_": f"{HERE}.halved", "_partial_": True}}, False),
    "MultiplicativeLR": ({"lr_lambda": {"_target_": f"{HERE}.half", "_partial_": True}}, False),
    "ReduceLROnPlateau": ({"patience": 0, "threshold": 0.9}, False),
}  # fmt: skip
REFUSED = {"SequentialLR": {"schedulers": [], "milestones": []}, "ChainedScheduler": {"schedulers": []}}


def halved(epoch):
    return 0.5**epoch


def half(epoch):
    return 0.5


def words_for(name, fields, lr=LR):
    node = {"_target_": f"torch.optim.lr_scheduler.{name.partition(',')[0]}", **fields}
    text = json.dumps(node).replace('"', "")
    return [*COMMON, f"epochs={EPOCHS}", f"lr={lr}", "~scheduler", f"+scheduler={text}"]


def train(folder, words):
    run = folder / "run"
    run.mkdir()
    bmx.train(bmx.compose("train", [*words, f"outputs={folder}"]), run_dir=run, quiet=True)
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def by_hand(name, fields, every_step, losses):
    """The rate of each step of a plain loop."""
    given = {key: value for key, value in fields.items() if key != "interval"}
    if "lr_lambda" in given:
        given["lr_lambda"] = {"LambdaLR": halved, "MultiplicativeLR": half}[name]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR, momentum=0.9)
    scheduler = getattr(lr_scheduler, name.partition(",")[0])(optimizer, **given)
    rates = []
    for loss in losses:
        for _ in range(STEPS):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if every_step and len(rates) < STEPS * EPOCHS:
                scheduler.step()
        if not every_step:
            scheduler.step(*([loss] if name == "ReduceLROnPlateau" else []))
    return rates


def test_every_scheduler_of_torchs_is_in_the_table():
    named = {name.partition(",")[0] for name in WORK} | set(REFUSED)
    assert named | {"LRScheduler"} == set(lr_scheduler.__all__)


@pytest.mark.parametrize("name", WORK)
def test_the_rates_are_those_of_a_plain_loop(name, tmp_path):
    fields, every_step = WORK[name]
    written = train(tmp_path, words_for(name, fields))
    losses = [float(row["val/loss"]) for row in written if row["row"] == "epoch"]
    rates = [float(row["lr"]) for row in written if row["row"] == "step"]
    assert rates == pytest.approx(by_hand(name, fields, every_step, losses), rel=1e-12)
    assert len(set(rates)) > 1


@pytest.mark.parametrize("name", REFUSED)
def test_schedulers_made_of_others_are_refused(name):
    with pytest.raises(UsageError, match="made of other schedulers"):
        bmx_check(words_for(name, REFUSED[name]))


def bmx_check(words):
    from bmx.engine.prepare import prepare

    return prepare(bmx.compose("train", words))


def test_what_a_run_knows_need_not_be_given(tmp_path):
    for name in ("CosineAnnealingLR", "OneCycleLR"):
        folder = tmp_path / name
        folder.mkdir()
        written = train(folder, words_for(name, {}))
        fields, every_step = WORK[name]
        rates = [float(row["lr"]) for row in written if row["row"] == "step"]
        assert rates == pytest.approx(by_hand(name, fields, every_step, range(EPOCHS)), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "fields", "says"),
    [
        ("StepLR", {}, "needs 'step_size'"),
        ("StepLR", {"step_size": 2, "stepsize": 2}, "no field 'stepsize'"),
        ("StepLR", {"step_size": 2, "interval": "batch"}, "`interval` must be epoch or step"),
        ("StepLR", {"step_size": 2, "monitor": "val/loss"}, "`monitor` would be ignored"),
        ("StepLR", {"step_size": 2, "warmup": 1}, "has no `warmup`"),
        ("StepLR", {"step_size": 2, "last_epoch": 3}, "resume= knows it"),
        ("StepLR", {"step_size": 0}, "zero"),
        ("ReduceLROnPlateau", {"interval": "step"}, "once an epoch"),
        ("ReduceLROnPlateau", {"monitor": "val/f1"}, "a run has no 'val/f1'"),
        ("ReduceLROnPlateau", {"monitor": "val/accuracy"}, "the other way is better"),
        ("ReduceLROnPlateau", {"factor": 2.0}, "Factor should be < 1.0"),
        ("OneCycleLR", {"max_lr": 0.7}, "lr=0.1 would be ignored"),
        ("OneCycleLR", {"total_steps": 5}, "`total_steps` is 5"),
        ("OneCycleLR", {"pct_start": 3.0}, "pct_start"),
        ("CyclicLR", {"base_lr": 0.7, "max_lr": 0.9}, "lr=0.1 would be ignored"),
        ("LambdaLR", {"lr_lambda": "my_module.mine"}, "lr_lambda must be a function"),
        ("Nothing", {}, "has no 'Nothing'"),
    ],
)
def test_what_could_not_work_is_refused_before_the_start(name, fields, says):
    with pytest.raises(UsageError) as raised:
        bmx_check(words_for(name, fields))
    assert says in raised.value.what
    assert raised.value.fix or "cannot" in says


@pytest.mark.parametrize("name", ["StepLR, every step", "OneCycleLR", "ReduceLROnPlateau"])
def test_a_run_goes_on_exactly_where_its_scheduler_stood(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["train", *words_for(name, WORK[name][0])]
    assert main([*words, "hydra.run.dir=whole"]) == 0, capsys.readouterr().err
    stop = "trainer.callbacks=[{_target_: tests.engine.user_callbacks.Interrupts, step: 8}]"
    assert main([*words, "hydra.run.dir=cut", stop, "checkpoint.every=7"]) == 130
    assert main(["train", "resume=cut", "trainer.callbacks=[]"]) == 0, capsys.readouterr().err
    texts = [(tmp_path / run / "metrics.csv").read_text() for run in ("whole", "cut")]
    assert texts[0] == texts[1]


def test_a_scheduler_cannot_become_another_on_resume(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    stop = "trainer.callbacks=[{_target_: tests.engine.user_callbacks.Interrupts, step: 8}]"
    assert main(["train", *words_for("OneCycleLR", {}), "hydra.run.dir=cut", stop]) == 130
    for word, says in [
        ("epochs=5", "total_steps=12, and not with 15"),
        ("lr=0.2", "lr=[0.1], and not with [0.2]"),
        ("scheduler.pct_start=0.5", "pct_start=None, and not with 0.5"),
    ]:
        added = word if "pct" not in word else f"+{word}"
        assert main(["train", "resume=cut", "trainer.callbacks=[]", added]) == 2
        assert says in capsys.readouterr().err
    assert main(["train", "resume=cut", "trainer.callbacks=[]"]) == 0, capsys.readouterr().err


def test_a_rate_found_by_trials_reaches_the_scheduler(tmp_path):
    words = words_for("OneCycleLR", {"max_lr": "${lr}"}, lr="auto")
    written = train(tmp_path, words)
    rates = [float(row["lr"]) for row in written if row["row"] == "step"]
    found = json.loads((tmp_path / "run/result.json").read_text())["found"]["lr"]
    assert rates[0] == pytest.approx(found / 25)
    assert max(rates) <= found
