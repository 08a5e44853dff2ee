"""Low rank as a whole: budgets that hold, nets that run, recipes that build them again."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bmx.compression.budget import Budget, measure
from bmx.compression.low_rank.factored import Factored, weights_of
from bmx.compression.low_rank.factorizable_layers import find_targets
from bmx.compression.low_rank.layer_costs import layer_costs
from bmx.compression.low_rank.method import LowRank
from bmx.compression.rebuild import rebuild
from bmx.errors import UsageError
from bmx.measure.cost import file_bytes
from bmx.measure.macs import count_macs
from tests.compression.low_rank_nets import context, convolutional, images, perceptron, rows

NETS = {"perceptron": (perceptron, rows), "convolutional": (convolutional, images)}
PLAIN, PICTURES = context(rows()), context(images())


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(NETS)), st.sampled_from(["kfac", "activation", "energy", "vbmf", "ratio"]),
       st.floats(0.15, 1.0))  # fmt: skip
def test_a_fraction_of_the_weights_is_met_within_one_rank(which, rule, fraction):
    build, draw = NETS[which]
    net, ctx = build(), context(draw())
    found = find_targets(net, ctx.example).targets
    limit = fraction * sum(t.weights for t in found.values())
    made = LowRank(rule, {"params": fraction})(net, ctx).net
    kept = {name: weights_of(made.get_submodule(name)) for name in found}
    left = limit - sum(kept.values())
    assert left >= 0
    for name, target in found.items():
        step = min(target.rows + target.columns, target.weights - kept[name])
        assert kept[name] == target.weights or step > left


@pytest.mark.parametrize("which", NETS)
@pytest.mark.parametrize(("unit", "share"), [("params", 0.6), ("macs", 0.6), ("bytes", 0.85)])
def test_a_number_is_what_the_whole_net_may_cost(which, unit, share):
    build, draw = NETS[which]
    net, ctx = build(), context(draw())
    whole = measure(unit, net, ctx)
    outcome = LowRank(budget={unit: int(share * whole)})(net, ctx)
    rulers = {"params": parameters, "macs": lambda n: count_macs(n, ctx.example), "bytes": file_bytes}
    cost = rulers[unit](outcome.net)
    assert 0.8 * share * whole < cost <= share * whole
    assert outcome.facts["budget"]["after"] == cost
    assert json.loads(json.dumps(outcome.facts)) == outcome.facts


def counted(call) -> float:
    """A clock that counts: 0.2 milliseconds for a call and 10 nanoseconds for each floating-point operation in it."""
    with FlopCounterMode(display=False) as counter:
        call()
    return 2e-4 + 1e-8 * counter.get_total_flops()


@pytest.mark.slow
def test_milliseconds_are_met_by_the_net_itself(monkeypatch):
    monkeypatch.setattr("bmx.measure.latency.wall_clock", counted)
    net, ctx = nn.Sequential(nn.Linear(20, 1500), nn.Linear(1500, 1500), nn.Linear(1500, 4)).eval(), PLAIN
    before = measure("latency_ms", net, ctx)
    outcome = LowRank("energy", {"latency_ms": 0.7 * before})(net, ctx)
    assert outcome.facts["budget"]["before"] == before
    assert 0.6 * before < outcome.facts["budget"]["after"] <= 0.7 * before
    assert "1" in outcome.facts["ranks"]


def test_milliseconds_by_the_clock_itself():
    net, ctx = perceptron(), PLAIN
    outcome = LowRank("energy", {"latency_ms": 1000 * measure("latency_ms", net, ctx)})(net, ctx)
    assert outcome.facts["budget"]["after"] > 0 and outcome.facts["ranks"] == {}


@pytest.mark.parametrize(
    ("which", "fields"),
    [
        ("perceptron", {}),
        ("convolutional", {}),
        ("convolutional", {"rule": "activation", "budget": {"macs": 0.4}}),
        ("convolutional", {"rule": "vbmf"}),
    ],
)
def test_a_recipe_builds_the_same_net_again_without_weights(which, fields):
    build, draw = NETS[which]
    net, ctx = build(), context(draw())
    before = copy.deepcopy(net.state_dict())
    outcome = LowRank(**{"budget": {"params": 0.4}, **fields} if fields.get("rule") != "vbmf" else fields)(net, ctx)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert json.loads(json.dumps(outcome.recipe)) == outcome.recipe
    with torch.device("meta"):
        again = rebuild(build().to("meta"), outcome.recipe)
    again.to_empty(device="cpu").load_state_dict(outcome.net.state_dict())
    x = draw()
    assert torch.equal(again.eval()(x), outcome.net(x))
    changes = {change.name: change for change in outcome.layers}
    assert sum(c.after for c in outcome.layers) == parameters(outcome.net)
    assert sum(c.before for c in outcome.layers) == parameters(net)
    assert all("rank" in changes[name].note for name in outcome.facts["ranks"])


@pytest.mark.parametrize("which", NETS)
def test_a_full_budget_changes_nothing_and_a_large_one_hardly(which):
    build, draw = NETS[which]
    net, ctx = build(), context(draw())
    assert LowRank(budget={"params": 1.0})(net, ctx).recipe == []
    # Weights of low rank survive without loss.
    for target in find_targets(net, ctx.example).targets.values():
        u, s, vh = torch.linalg.svd(target.layer.weight.detach().flatten(1), full_matrices=False)
        target.layer.weight.data = ((u[:, :2] * s[:2]) @ vh[:2]).view_as(target.layer.weight)
    x = draw()
    for rule in ("energy", "activation", "kfac"):
        made = LowRank(rule, {"params": 0.6})(net, ctx)
        assert made.facts["ranks"]
        torch.testing.assert_close(made.net(x), net(x), rtol=1e-3, atol=1e-4)


def test_a_layer_used_twice_is_replaced_in_both_places():
    torch.manual_seed(0)
    shared = nn.Linear(20, 20)
    net = nn.Sequential(shared, nn.Tanh(), shared, nn.Linear(20, 4)).eval()
    outcome = LowRank(budget={"macs": 0.5})(net, PLAIN)
    assert outcome.net[0] is outcome.net[2]
    assert count_macs(outcome.net, PLAIN.example) <= 0.5 * count_macs(net, PLAIN.example)


def test_compressing_again_lowers_the_ranks_of_the_factors():
    net = perceptron()
    once = LowRank(budget={"params": 0.6})(net, PLAIN)
    twice = LowRank(budget={"params": 0.5})(once.net, PLAIN)
    assert any(twice.facts["ranks"][name] < once.facts["ranks"].get(name, [99]) for name in twice.facts["ranks"])
    assert not any(isinstance(m.first, Factored) for m in twice.net.modules() if isinstance(m, Factored))
    again = rebuild(perceptron(1), [*once.recipe, *twice.recipe])
    again.load_state_dict(twice.net.state_dict())
    assert torch.equal(again(rows()), twice.net(rows()))


@pytest.mark.parametrize(
    ("decomposition", "rule"), [("tucker", "ratio"), ("tucker", "energy"), ("tucker", "vbmf"), ("cp", "ratio")]
)
def test_tucker_and_cp(decomposition, rule):
    pytest.importorskip("tensorly")
    net = convolutional()
    outcome = LowRank(rule, {"macs": 0.5}, decomposition=decomposition)(net, PICTURES)
    assert count_macs(outcome.net, PICTURES.example) == outcome.facts["budget"]["layers_after"] + 16 * 4 * 9 * 25
    again = rebuild(convolutional(1), outcome.recipe)
    again.load_state_dict(outcome.net.state_dict())
    assert torch.equal(again(images()), outcome.net(images()))
    if outcome.facts["ranks"].get("2"):
        change = next(c for c in LowRank(budget={"params": 0.9})(outcome.net, PICTURES).layers if c.name == "2")
        assert change.note == f"left alone: already factored, by {decomposition}"


def test_tucker_at_full_rank_is_the_same_convolution():
    pytest.importorskip("tensorly")
    from bmx.compression.low_rank import tensor_factors
    from bmx.compression.low_rank.factored import factored_like, fill

    net = convolutional()
    target = find_targets(net, images(1)).targets["2"]
    for scheme, ranks in (("tucker", (8, 16)), ("cp", (72,))):
        if scheme == "tucker":
            parts = tensor_factors.tucker_parts(target, ranks)
        else:
            parts = tensor_factors.cp_parts(target, ranks[0], 0)
        made = fill(factored_like(net[2], scheme, ranks), parts, None)
        x = torch.randn(2, 8, 12, 12)
        error = (made(x) - net[2](x)).norm() / net[2](x).norm()
        assert error < (1e-5 if scheme == "tucker" else 0.05)


def test_without_tensorly_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorly", None)
    with pytest.raises(UsageError) as caught:
        LowRank("ratio", decomposition="tucker")(convolutional(), PICTURES)
    assert "bmx[tensorly]" in caught.value.fix


def test_channels_last_and_onnx(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    made = LowRank(budget={"params": 0.4})(convolutional(), PICTURES).net
    x = images(5)
    expected = made(x).detach()
    torch.testing.assert_close(copy.deepcopy(made).to(memory_format=torch.channels_last)(x), expected)
    file = tmp_path / "net.onnx"
    batch = torch.export.Dim("batch")
    torch.onnx.export(made, (x,), file, dynamo=True, dynamic_shapes=({0: batch},), verbose=False)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: images(3).numpy()})
    torch.testing.assert_close(torch.from_numpy(found), made(images(3)).detach(), rtol=1e-4, atol=1e-5)


def test_the_budget_and_layer_costs_by_hand():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(200, 4)).eval()
    assert layer_costs("params", net, PICTURES) == {"0": 20, "2": 804}
    assert layer_costs("bytes", net, PICTURES) == {"0": 80, "2": 3216}
    assert layer_costs("macs", net, PICTURES) == {"0": 100 * 18, "2": 800}
    assert set(layer_costs("latency_ms", net, PICTURES)) == {"", "0", "1", "2"}
    assert Budget(params=824).holds(net, PICTURES)
    assert not Budget(params=823).holds(net, PICTURES)
    assert Budget(macs=0.5).for_layers(100, 130) == 50
    assert Budget(macs=100).for_layers(100, 130) == 70
