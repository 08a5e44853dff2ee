"""Batch norm never meets a batch that it cannot learn from; what cannot work is told before the start."""

import contextlib
import copy
import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import bmx
from bmx.engine.prepare import prepare
from bmx.errors import UsageError
from bmx.tasks.optimizer_step import FitSettings, TrainStep

NETS = "tests.engine.batch_norm_nets"
# 120 rows: 12 held out leave 108, and a batch of 107 leaves one.
LEFT_ALONE = ["batch_size=107"]


def compose(*words):
    return bmx.compose("train", list(words))


def words(net="Normed", data="iris"):
    return [f"data={data}", "model=linear", "~model.bias", f"model._target_={NETS}.{net}", "plots=false"]


def train(tmp_path, *more, net="Normed", data="iris"):
    run = tmp_path / "run"
    run.mkdir(exist_ok=True)
    cfg = compose(*words(net, data), "epochs=2", f"outputs={tmp_path}", *more)
    return bmx.train(cfg, run_dir=run, quiet=True), run


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["data.in_memory=false", "data.workers=0"],
        ["lr=auto"],
        ["batch_size=10", "trainer.accumulate=4"],
        ["batch_size=full", "trainer.accumulate=54"],
        ["scheduler=one_cycle"],
    ],
    ids=["memory", "disk", "lr=auto", "parts", "pairs", "one_cycle"],
)
def test_the_one_that_is_left_joins_the_batch_before_it(tmp_path, more):
    result, _ = train(tmp_path, *LEFT_ALONE, *more)
    assert result["status"] == "done"
    size = {"batch_size=10": 10, "batch_size=full": 108}.get(more[0] if more else "", 107)
    assert result["steps"] == 2 * max(1, -(-107 // size))


@pytest.mark.parametrize(("net", "data"), [("NormedImages", "digits"), ("Unmeasurable", "iris")])
def test_whatever_the_kind_of_batch_norm(net, data):
    samples = {"digits": 1294, "iris": 108}[data]
    prepared = prepare(compose(*words(net, data), f"batch_size={samples - 1}"))
    assert prepared.least == 2 and prepared.timeline.steps_per_epoch == 1
    assert [len(b) for b in prepared.order().batches(0)] == [samples]


@pytest.mark.parametrize("net", ["NormedMaps", None])
def test_where_one_sample_is_enough_the_batches_are_as_they_were(net):
    chosen = words(net, "digits") if net else ["data=digits", "model=cnn"]
    prepared = prepare(compose(*chosen, "batch_size=1293"))
    assert prepared.least == 1 and [len(b) for b in prepared.order().batches(0)] == [1293, 1]


@pytest.mark.parametrize(
    "more",
    [["batch_size=1"], ["batch_size=10", "trainer.accumulate=10"], ["batch_size=full", "trainer.accumulate=108"]],
)
def test_what_cannot_be_trained_is_refused_and_the_advice_works(tmp_path, more):
    outputs = tmp_path / "outputs"
    with pytest.raises(UsageError, match="one sample at a time") as caught:
        bmx.train(compose(*words(), f"outputs={outputs}", *more), quiet=True)
    assert not outputs.exists()
    for advised in re.findall(r"[\w.]+=\d+", caught.value.fix):
        key = advised.partition("=")[0]
        prepare(compose(*words(), *[word for word in more if not word.startswith(key)], advised))


def test_sizes_that_are_found_by_trial_are_sizes_that_can_be_trained(tmp_path):
    result, _ = train(tmp_path, "batch_size=auto", "trainer.accumulate=4")
    assert result["status"] == "done" and result["found"]["batch_size"] >= 8
    planned = bmx.train(compose(*words(), *LEFT_ALONE, "trainer.accumulate=40", "plan=true"), quiet=True)
    assert planned["steps"] == planned["epochs"]


def test_a_resumed_run_has_the_same_batches(tmp_path):
    more = ["data.val_size=13", "batch_size=53", "trainer.accumulate=25", "scheduler=constant"]
    whole, run = train(tmp_path, *more)
    parts = tmp_path / "parts"
    parts.mkdir()
    train(parts, *more, "epochs=1")
    again, resumed = train(parts, *more, f"resume={parts / 'run'}")
    ours, theirs = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for folder in (run, resumed)
    )
    assert again["steps"] == whole["steps"] == 4
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.slow
def test_students_and_compressed_models_too(tmp_path):
    _, run = train(tmp_path, *LEFT_ALONE)
    common = ["plots=false", f"outputs={tmp_path}", "epochs=1", *LEFT_ALONE]
    taught = bmx.compose("distill", [*words(), *common, f"teacher={run}"])
    assert bmx.distill(taught, quiet=True)["steps"] == 1
    small = bmx.compose("compress", [f"run={run}", "compression=prune", "engines=[]", *common])
    assert bmx.compress(small, quiet=True)["steps"] == 1


@given(st.integers(2, 17), st.integers(1, 17), st.integers(1, 2))
def test_parts_of_any_size_give_the_gradient_of_the_whole_batch(samples, accumulate, least):
    generator = torch.Generator().manual_seed(samples)
    inputs = torch.randn(samples, 3, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, 4, (samples,), generator=generator)
    net = nn.Linear(3, 4, dtype=torch.float64)
    whole = copy.deepcopy(net)
    loss = F.cross_entropy(whole(inputs), targets)
    loss.backward()

    def batch_loss(x, y):
        outputs = net(x)
        return F.cross_entropy(outputs, y), (outputs.argmax(1) == y).sum()

    sgd = torch.optim.SGD(net.parameters(), lr=0.0)
    stepper = TrainStep(sgd, net, FitSettings(accumulate=accumulate, least=least), None, False)
    with contextlib.nullcontext():
        reported, score = stepper.step(batch_loss, inputs, targets)
    assert float(reported) == pytest.approx(loss.item()) and float(score) == float(
        (whole(inputs).argmax(1) == targets).sum()
    )
    for mine, expected in zip(net.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, expected.grad)
