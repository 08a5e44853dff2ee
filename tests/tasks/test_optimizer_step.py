"""One optimiser step: what the optimiser asks for, and what the trials of a run share with the run."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_diabetes
from torch import nn

import bmx
from bmx.cli.main import main
from bmx.engine import estimate, tuner
from bmx.engine.fit import build_net
from bmx.engine.fit_task import trial
from bmx.engine.prepare import prepare
from bmx.runs import result as results
from bmx.tasks.optimizer_step import FitSettings, TrainStep, wants_closure


def problem():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    return net, torch.randn(40, 4, dtype=torch.float64), torch.randn(40, 1, dtype=torch.float64)


def loss_of(net, x, y):
    outputs = net(x)
    return F.mse_loss(outputs, y), outputs.detach().sum()


LBFGS = partial(torch.optim.LBFGS, lr=1.0, max_iter=7, line_search_fn="strong_wolfe")


@pytest.mark.parametrize("accumulate", [1, 3])
def test_an_optimiser_that_wants_a_closure_is_given_one(accumulate):
    net, x, y = problem()
    other = copy.deepcopy(net)
    ours, plain = LBFGS(net.parameters()), LBFGS(other.parameters())
    assert wants_closure(ours) and not wants_closure(torch.optim.SGD(net.parameters(), lr=0.1))
    train_step = TrainStep(ours, net, FitSettings(accumulate=accumulate))

    def closure():
        plain.zero_grad()
        loss = F.mse_loss(other(x), y)
        loss.backward()
        return loss

    for _ in range(5):
        before = F.mse_loss(net(x), y).detach()
        loss, _ = train_step.step(partial(loss_of, net), x, y)
        torch.testing.assert_close(loss, before)
        plain.step(closure)
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-8)


def test_a_line_search_sees_the_penalty_that_the_gradient_is_of():
    net, x, y = problem()
    other = copy.deepcopy(net)
    plain = LBFGS(other.parameters())
    train_step = TrainStep(LBFGS(net.parameters()), net, FitSettings(l2=0.1))

    def closure():
        plain.zero_grad()
        loss = F.mse_loss(other(x), y) + 0.05 * sum(p.square().sum() for p in other.parameters() if p.ndim > 1)
        loss.backward()
        return loss

    for _ in range(5):
        train_step.step(partial(loss_of, net), x, y)
        plain.step(closure)
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-7)


def test_every_group_of_parameters_makes_its_own_step():
    net, x, y = problem()
    before = copy.deepcopy(net)
    first, last = net[0].parameters(), net[2].parameters()
    optimizer = torch.optim.SGD([{"params": first, "lr": 0.5}, {"params": last, "lr": 0.0}], lr=0.1)
    TrainStep(optimizer, net, FitSettings()).step(partial(loss_of, net), x, y)
    F.mse_loss(before(x), y).backward()
    torch.testing.assert_close(net[0].weight, before[0].weight - 0.5 * before[0].weight.grad)
    assert torch.equal(net[2].weight, before[2].weight)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "bmx_conf" / "optim"
    folder.mkdir(parents=True)
    (folder / "lbfgs.yaml").write_text(
        "_target_: torch.optim.LBFGS\nlr: ${lr}\nmax_iter: 20\nline_search_fn: strong_wolfe\n"
    )
    return tmp_path


WORDS = ["model=linear", "data=diabetes", "optim=lbfgs", "lr=1", "batch_size=full", "plots=false", "scheduler=constant"]


def test_lbfgs_finds_the_least_squares(here):
    assert main(["train", *WORDS, "epochs=8", "hydra.run.dir=run"]) == 0
    data = bmx.compose("train", WORDS)
    parts = prepare(data).data
    inputs, targets = parts.train.inputs.double().numpy(), parts.train.targets.double().numpy()
    design = np.column_stack([inputs, np.ones(len(inputs))])
    solution, *_ = np.linalg.lstsq(design, targets.reshape(-1), rcond=None)
    unseen = np.column_stack([parts.test.inputs.double().numpy(), np.ones(len(parts.test))]) @ solution
    rmse = np.sqrt(np.mean((unseen - parts.test.targets.double().numpy().reshape(-1)) ** 2))
    assert results.read(here / "run")["metrics"]["test/rmse"] == pytest.approx(rmse, rel=1e-3)
    assert len(load_diabetes().target) == sum(len(p) for p in (parts.train, parts.val, parts.test) if p is not None)


def test_it_goes_on_exactly_where_it_stopped(here):
    assert main(["train", *WORDS, "epochs=4", "hydra.run.dir=whole"]) == 0
    assert main(["train", *WORDS, "epochs=2", "hydra.run.dir=part"]) == 0
    assert main(["train", "resume=part", "epochs=4"]) == 0
    whole, part = (bmx.load(here / name).state_dict() for name in ("whole", "part"))
    assert all(torch.equal(whole[name], part[name]) for name in whole)


def prepared(*words):
    return prepare(bmx.compose("train", ["model=lenet5_caffe", "data=mnist_5k", "batch_size=50", *words]))


def made(cfg, steps=3):
    """The weights after some steps of a trial."""
    net = build_net(cfg)
    with trial(cfg, net) as run:
        batches = run.batches()
        for _ in range(steps):
            run.step(*next(batches))
        return torch.cat([p.detach().flatten() for p in run.task.net.parameters()])


def test_steps_of_a_trial_are_those_of_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["augmentation=jitter", "trainer.clip_norm=0.1", "regularization.l2=0.01", "trainer.accumulate=2"]
    words += ["data.leave_out=[2,3,4,5,6,7,8,9]", "epochs=1", "plots=false", "scheduler=constant", "seed=1"]
    cfg = bmx.compose("train", ["model=lenet5_caffe", "data=mnist_5k", "batch_size=200", *words])
    bmx.train(cfg, run_dir="run", quiet=True)
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    ready = prepare(cfg)
    trained = torch.cat([state[f"net.{name}"].flatten() for name, _ in build_net(ready).named_parameters()])
    steps = ready.timeline.steps_per_epoch
    torch.testing.assert_close(made(ready, steps), trained, rtol=1e-4, atol=1e-5)


def test_the_trials_make_these_steps(monkeypatch):
    seen = []
    step = TrainStep.step

    def spied(self, *arguments):
        seen.append((self.settings.clip_norm, self.settings.accumulate, self.penalties.active))
        return step(self, *arguments)

    monkeypatch.setattr(TrainStep, "step", spied)
    cfg = prepared("trainer.clip_norm=0.5", "trainer.accumulate=2", "regularization.l1=0.001")
    net = build_net(cfg)
    for use in (
        lambda: estimate.time_needed(cfg, net, seconds=0.01),
        lambda: tuner.find_lr(cfg, net),
        lambda: tuner.find_batch_size(cfg, net),
    ):
        seen.clear()
        use()
        assert seen and set(seen) == {(0.5, 2, True)}
