"""A bf16 run on a CPU says what it costs before it starts; the instructions of another processor are emulated."""

import pytest
import torch

import bmx
from bmx.engine import estimate
from bmx.engine.fit import build_net
from bmx.engine.prepare import prepare
from tests import warm_process

WORDS = ["data=digits", "model=cnn", "epochs=1", "batch_size=64", "plots=false", "device=cpu"]


@pytest.mark.slow
def test_a_processor_without_bf16_instructions_is_told_of_before_the_start(tmp_path):
    # oneDNN reads this when it first computes, so it needs processes of its own.
    for more in ([], ["--plan"]):
        done = warm_process.bmx(
            *("train", *WORDS, "precision=bf16-mixed", *more), folder=tmp_path, env={"ONEDNN_MAX_CPU_ISA": "AVX2"}
        )
        assert done.code == 0, done.err
        said = done.out.split("train loss")[0]  # above the first epoch
        assert "bf16-mixed is" in done.out
        assert "times as slow as 32-true on this CPU" in said


@pytest.fixture(scope="module")
def prepared():
    return prepare(bmx.compose("train", [*WORDS, "precision=bf16-mixed"]))


@pytest.mark.parametrize(
    ("bf16", "full", "says"),
    [
        (0.012, 0.003, "4.0 times as slow as 32-true on this CPU: 12 ms against 3 ms a step, measured"),
        (0.00315, 0.003, None),
        (0.001, 0.003, None),
    ],
)
def test_what_it_costs_is_the_ratio_of_steps_that_were_made(bf16, full, says, prepared, monkeypatch):
    def measure(run, seconds):
        return (bf16 if run.device.precision.startswith("bf16") else full), 5

    monkeypatch.setattr(estimate, "seconds_of_step", measure)
    found = estimate.slower_than_full(prepared, build_net(prepared))
    assert (None if found is None else str(found)) == says


def test_measuring_leaves_model_and_random_state_alone(prepared):
    net = build_net(prepared)
    weights = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    before = torch.get_rng_state()
    estimate.slower_than_full(prepared, net, seconds=0.01)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(tensor, net.state_dict()[name]) for name, tensor in weights.items())


def test_full_precision_is_not_measured(monkeypatch):
    monkeypatch.setattr(estimate, "seconds_of_step", lambda run, seconds: pytest.fail("measured"))
    prepared = prepare(bmx.compose("train", WORDS))
    assert estimate.slower_than_full(prepared, build_net(prepared)) is None
