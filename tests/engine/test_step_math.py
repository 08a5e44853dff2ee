"""The optimiser steps of FitTask against the plainest loop that can be written."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import bmx
from bmx.data.pipeline.batches import BatchOrder
from bmx.data.pipeline.input_stage import InputStage
from bmx.engine.fit import best_file
from bmx.engine.prepare import prepare

COMMON = ["data=digits", "data.val_size=0", "model=mlp", "model.hidden=[16]", "batch_size=100", "plots=false"]


def by_hand(cfg, epochs, change_gradients=lambda net: None, parts=1):
    """Final weights of a loop without Lightning, without blocks, without sums."""
    from bmx.engine.fit import build_net

    prepared = prepare(cfg)
    data, net = prepared.data, build_net(prepared)
    stage = InputStage.fitted(data.spec, data.train)
    optimizer = torch.optim.SGD(net.parameters(), lr=cfg.lr, momentum=0.9)
    order = BatchOrder(len(data.train), 100, seed=cfg.seed)
    for epoch in range(epochs):
        for indices in order.batches(epoch):
            x, y = stage(data.train.inputs[indices]), data.train.targets[indices]
            optimizer.zero_grad()
            size = -(-len(y) // parts)
            for px, py in zip(x.split(size), y.split(size), strict=True):
                (F.cross_entropy(net(px), py) * len(py) / len(y)).backward()
            change_gradients(net)
            optimizer.step()
    return net.state_dict()


def through_bmx(tmp_path, overrides, epochs=2):
    cfg = bmx.compose("train", [*COMMON, *overrides, f"epochs={epochs}", f"outputs={tmp_path}", "name=x"])
    folder = tmp_path / "run"
    folder.mkdir()
    bmx.train(cfg, run_dir=folder, quiet=True)
    state = torch.load(best_file(folder), weights_only=True)["state_dict"]
    return cfg, {name.removeprefix("net."): t for name, t in state.items() if name.startswith("net.")}


def add_penalty(net):
    for p in net.parameters():
        if p.ndim >= 2:
            p.grad += 0.01 * p.detach() + 0.001 * p.detach().sign()


@pytest.mark.parametrize(
    ("overrides", "gradients", "parts"),
    [
        ([], lambda net: None, 1),
        (["trainer.accumulate=3"], lambda net: None, 3),
        (["trainer.clip_norm=0.5"], lambda net: nn.utils.clip_grad_norm_(net.parameters(), 0.5), 1),
        (["regularization.l1=0.001", "regularization.l2=0.01"], add_penalty, 1),
    ],
    ids=["plain", "accumulate", "clip", "penalties"],
)
def test_steps_are_those_of_a_plain_loop(tmp_path, overrides, gradients, parts):
    cfg, ours = through_bmx(tmp_path, overrides)
    expected = by_hand(cfg, 2, gradients, parts)
    for name, tensor in expected.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-4, atol=1e-6)


def test_a_callback_that_wants_every_step_changes_nothing(tmp_path):
    plain = through_bmx(tmp_path, [])[1]
    again = tmp_path / "again"
    again.mkdir()
    counted = through_bmx(again, ["trainer.callbacks=[{_target_: tests.engine.counting.Counting}]"])[1]
    from tests.engine.counting import Counting

    assert Counting.steps == 2 * 15
    assert all(torch.equal(plain[name], counted[name]) for name in plain)
