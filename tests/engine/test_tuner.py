"""`lr=auto` and `batch_size=auto`: what is suggested, by whose loss, and that a trial leaves nothing behind."""

import math
from functools import partial

import pytest
import torch
from torch import nn

import bmx
from bmx.data.spec import DataSpec
from bmx.distillation.adapters import Adapter
from bmx.distillation.method import FitNet
from bmx.distillation.teachers import Teacher, Teachers
from bmx.engine import tuner
from bmx.engine.fit import build_net
from bmx.engine.prepare import prepare
from bmx.errors import RunFailed
from bmx.tasks.distill import DistillTask, Lesson

RATES = [10 ** (-6 + 7 * step / 99) for step in range(100)]


def curve(lowest, noise=0.0):
    """Flat, then falling to the step ``lowest``, then rising fast."""
    falling = [2.3 - 1.5 / (1 + math.exp(-(step - lowest + 10) / 3)) for step in range(lowest)]
    rising = [0.7 + 0.3 * step for step in range(100 - lowest)]
    return [2.3 + noise, 2.3 - noise, *falling[2:], *rising]


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_a_tenth_of_where_the_loss_is_lowest(noise):
    assert tuner.suggested(RATES, curve(70, noise)) == pytest.approx(RATES[70] / 10)


def test_a_net_that_has_learned_is_tuned_below_where_it_breaks():
    losses = [0.05 + 0.001 * math.sin(step) for step in range(60)] + [0.05 * 1.2**step for step in range(1, 41)]
    assert tuner.suggested(RATES, losses) == pytest.approx(RATES[61] / 10)  # 1.2² is below one and a half


@pytest.mark.parametrize("losses", [[2.3] * 100, [2.3, 2.2, *[2.35] * 98], [math.nan] * 100, [2.3, *[math.nan] * 99]])
def test_a_loss_that_does_not_change_has_no_rate(losses):
    with pytest.raises(RunFailed, match="no rate that makes a difference"):
        tuner.suggested(RATES, losses)


class Scaled(nn.Module):
    def forward(self, raw):
        return raw.float() / 255


def lesson(weight):
    """Features of the net's own first layer, to be copied from a wider one."""
    torch.manual_seed(1)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 12))
    teachers = Teachers([Teacher(teacher, Scaled(), DataSpec("toy", "image", (1, 8, 8), 10))], ("1",))
    method = FitNet(weight=weight)
    return Lesson(method, teachers, None, ("hidden.linear1",), nn.ModuleList([Adapter(8, 12)]))


def prepared():
    return prepare(bmx.compose("train", ["data=digits", "model=mlp", "model.hidden=[8]", "lr=auto"]))


def test_the_loss_of_the_task_decides():
    found = [
        tuner.find_lr(prepared(), build_net(prepared()), partial(DistillTask, lesson=lesson(weight))).lr
        for weight in (1.0, 300.0)
    ]
    assert found[1] < found[0] / 10


@pytest.mark.parametrize("find", [tuner.find_lr, tuner.find_batch_size])
def test_a_trial_changes_nothing(find):
    ready, net, taught = prepared(), build_net(prepared()), lesson(1.0)
    before = [p.clone() for part in (net, taught.learned) for p in part.parameters()]
    drawn = torch.get_rng_state()
    find(ready, net, partial(DistillTask, lesson=taught))
    after = [p for part in (net, taught.learned) for p in part.parameters()]
    assert all(map(torch.equal, before, after)) and torch.equal(drawn, torch.get_rng_state())
    assert not any(module._forward_hooks for module in net.modules())
