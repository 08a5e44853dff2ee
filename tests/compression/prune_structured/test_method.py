"""Structured pruning: nets that are really smaller, built again from their recipe, within their budgets."""

import copy
import json

import pytest
import torch
from torch import nn

from bmx.compression import budget
from bmx.compression.prune_structured.channel_pruning import find_channels
from bmx.compression.prune_structured.method import PruneStructured
from bmx.compression.rebuild import rebuild
from bmx.data.spec import DataSpec
from bmx.errors import UsageError
from bmx.measure.cost import cost_of
from bmx.measure.macs import count_macs
from bmx.models.cnn import CNN
from bmx.models.layers.attention import Attention
from bmx.models.lenet5 import LeNet5
from bmx.models.linear import Linear
from bmx.models.mlp import MLP
from bmx.models.torchvision import TorchvisionModel
from bmx.models.transformer import Transformer
from bmx.models.vit import ViT
from tests.compression.pruning import context

IMAGE = DataSpec("noise", "image", (1, 28, 28), 10)
COLOUR = DataSpec("noise", "image", (3, 32, 32), 10)
TOKENS = DataSpec("noise", "tokens", (12,), 5, vocab_size=30)


def image(make):
    return IMAGE, torch.randn(1, 1, 28, 28), make


def tokens(make):
    return TOKENS, torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 0, 0]]), make


MODELS = {
    "lenet5": image(lambda: LeNet5((1, 28, 28), 10)),
    "lenet5_caffe": image(lambda: CNN((1, 28, 28), 10, 2, 20, 2.5, 5, hidden=500)),
    "cnn_batch_norm": image(lambda: CNN((1, 28, 28), 10, batch_norm=True, hidden=0)),
    "mlp": image(lambda: MLP((1, 28, 28), 10)),
    "mlp_of_tokens": tokens(lambda: MLP((12,), 5, vocab_size=30)),
    "vit": image(lambda: ViT((1, 28, 28), 10, depth=2, patch_size=7)),
    "vit_mean": image(lambda: ViT((1, 28, 28), 10, depth=1, patch_size=7, pooling="mean")),
    "transformer": tokens(lambda: Transformer(30, 12, 5)),
    "transformer_cls": tokens(lambda: Transformer(30, 12, 5, stem="conv", pooling="cls")),
    "transformer_plain": tokens(lambda: Transformer(30, 12, 5, stem="none", pooling="mean")),
    "resnet18": (COLOUR, torch.randn(1, 3, 32, 32), lambda: TorchvisionModel("resnet18", (3, 32, 32), 10)),
}


def made(word, seed=0):
    spec, example, make = MODELS[word]
    torch.manual_seed(seed)
    return make().eval(), context(spec, example)


@pytest.mark.parametrize("word", MODELS)
@pytest.mark.parametrize("heads", ["narrower", "fewer"])
def test_the_recipe_builds_the_same_net_again(word, heads):
    net, given = made(word)
    if heads == "fewer" and not any(isinstance(m, Attention) for m in net.modules()):
        pytest.skip("no attention")
    before = copy.deepcopy(net.state_dict())
    outcome = PruneStructured(ratio=0.5, heads=heads)(net, given)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items()), "the given net stays"
    small, large = cost_of(outcome.net, given.example), cost_of(net, given.example)
    assert small.parameters < 0.6 * large.parameters and small.macs < 0.65 * large.macs
    assert sum(row.after for row in outcome.layers) <= small.parameters

    recipe = json.loads(json.dumps(outcome.recipe))
    with torch.device("meta"):
        again = MODELS[word][2]()
    again = rebuild(again, recipe)
    again = again.to_empty(device="cpu").eval()
    again.load_state_dict(outcome.net.state_dict())
    inputs = next(given.calibration(16))[0]
    assert torch.equal(again(inputs), outcome.net(inputs))
    assert outcome.net(inputs).shape == net(inputs).shape


@pytest.mark.parametrize(
    ("word", "name", "share"),
    [
        ("lenet5_caffe", "macs", 0.3),
        ("vit", "params", 0.2),
        ("lenet5_caffe", "bytes", 0.2),
        pytest.param("transformer", "macs", 0.3, marks=pytest.mark.slow),
        pytest.param("resnet18", "params", 0.1, marks=pytest.mark.slow),
    ],
)
def test_a_budget_is_never_exceeded(word, name, share):
    net, given = made(word)
    outcome = PruneStructured(budget={name: share})(net, given)
    cost = cost_of(outcome.net, given.example)
    found = {"params": cost.parameters, "macs": cost.macs, "bytes": cost.bytes}[name]
    most = int(share * outcome.facts["before"][name])
    assert found == outcome.facts["after"][name] <= most
    assert found > {"lenet5_caffe": 0.9, "vit": 0.93, "transformer": 0.93, "resnet18": 0.97}[word] * most


def test_a_count_is_a_budget_too():
    net, given = made("lenet5_caffe")
    outcome = PruneStructured(budget={"params": 100_000, "macs": 1.0}, round_to=1)(net, given)
    assert 98_000 < outcome.facts["after"]["params"] <= 100_000


def test_a_budget_of_time_takes_the_fewest_channels_that_the_clock_asks_for(monkeypatch):
    """A clock that counts multiply-accumulates: one per nanosecond."""
    net, given = made("lenet5_caffe")
    monkeypatch.setattr(
        "bmx.compression.prune_structured.method.measure",
        lambda name, net, given: (
            count_macs(net, given.example) / 1e6 if name == "latency_ms" else budget.measure(name, net, given)
        ),
    )
    before = count_macs(net, given.example) / 1e6
    outcome = PruneStructured(budget={"latency_ms": before / 2})(net, given)
    assert outcome.facts["after"]["latency_ms"] <= before / 2 == outcome.facts["budget"]["latency_ms"]
    channels = find_channels(net, next(given.calibration(16))[0])
    smaller = [ratio for ratio in channels.ratios(8) if ratio < outcome.facts["ratio"]]
    larger = PruneStructured(ratio=smaller[-1])(net, given)
    assert count_macs(larger.net, given.example) / 1e6 > before / 2
    with pytest.raises(UsageError, match="latency_ms cannot be reached"):
        PruneStructured(budget={"latency_ms": before / 1000})(net, given)


@pytest.mark.slow
def test_a_budget_of_time_by_the_clock_itself():
    net, given = made("vit")
    with pytest.raises(UsageError, match="latency_ms cannot be reached"):
        PruneStructured(budget={"latency_ms": 1e-6})(net, given)


@pytest.mark.slow
@pytest.mark.parametrize("budget", [{"params": 1.0}, {"latency_ms": 1e6}])
def test_what_changes_nothing_is_refused(budget):
    net, given = made("lenet5")
    with pytest.raises(UsageError, match="within this budget already"):
        PruneStructured(budget=budget)(net, given)
    with pytest.raises(UsageError, match="8 to spare"):
        PruneStructured(ratio=0.001)(net, given)


def test_a_budget_that_cannot_be_met_says_the_least():
    net, given = made("lenet5_caffe")
    with pytest.raises(UsageError, match="least is") as caught:
        PruneStructured(budget={"params": 100})(net, given)
    least = int(caught.value.fix.split("=")[1].split()[0])
    assert PruneStructured(budget={"params": least})(net, given).facts["after"]["params"] == least


@pytest.mark.parametrize("criterion", ["magnitude", "taylor"])
def test_channels_that_do_nothing_go_first(criterion):
    """Taking out what has no influence leaves every output as it was."""
    net, given = made("lenet5_caffe")
    with torch.no_grad():
        dead = [1, 4, 7, 11]
        for layer, following in ((net.features[0].conv, net.features[1].conv),):
            layer.weight[dead], layer.bias[dead], following.weight[:, dead] = 0, 0, 0
        net.features[1].conv.weight[::5] = net.features[1].conv.bias[::5] = 0
        net.hidden.linear1.weight.view(500, 50, 16)[:, ::5] = 0
        net.hidden.linear1.weight[::5] = net.hidden.linear1.bias[::5] = 0
        net.head.weight[:, ::5] = 0
    outcome = PruneStructured(criterion, ratio=0.2, round_to=1)(net, given)
    assert [len(outcome.net.features[i].conv.weight) for i in (0, 1)] == [16, 40]
    inputs = next(given.calibration(16))[0]
    torch.testing.assert_close(outcome.net(inputs), net(inputs), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("heads", ["narrower", "fewer"])
def test_attention_without_its_idle_parts_is_the_same(heads):
    """Idle features of every head, or two idle heads: what is left computes the same, at the same temperature."""
    net, given = made("vit")
    width = net.head.in_features
    idle = torch.zeros(3, 4, 32, dtype=torch.bool)
    if heads == "narrower":
        idle[:, :, 16:] = True
    else:
        idle[:, [0, 2]] = True
    with torch.no_grad():
        for block in net.encoder.blocks:
            block.attention.qkv.bias.normal_()
            block.attention.qkv.weight[idle.flatten()] = 0
            block.attention.qkv.bias[idle.flatten()] = 0
            block.attention.out.weight[:, idle[0].flatten()] = 0
    keeps_width = ["patches", "encoder.blocks.*.mlp.*", "encoder.blocks.*.out"]
    outcome = PruneStructured(heads=heads, skip=keeps_width, round_to=1)(net, given)
    attention = outcome.net.encoder.blocks[0].attention
    assert attention.qkv.weight.shape == (3 * 64, width)
    assert attention.heads == {"narrower": 4, "fewer": 2}[heads]
    inputs = next(given.calibration(16))[0]
    torch.testing.assert_close(outcome.net(inputs), net(inputs), rtol=1e-4, atol=1e-5)


def test_criteria_differ_and_random_follows_the_seed():
    net, given = made("lenet5_caffe")
    weights = {c: PruneStructured(c)(net, given).net.head.weight for c in ("magnitude", "taylor", "random")}
    assert not torch.equal(weights["magnitude"], weights["taylor"])
    again = PruneStructured("random")(net, given).net.head.weight
    assert torch.equal(weights["random"], again)
    other = PruneStructured("random")(net, context(IMAGE, given.example, seed=1)).net.head.weight
    assert not torch.equal(again, other)


def test_gradients_of_the_criterion_do_not_stay():
    net, given = made("lenet5")
    assert all(p.grad is None for p in PruneStructured("taylor")(net, given).net.parameters())


def test_layers_are_named():
    net, given = made("lenet5_caffe")
    rows = {row.name: row for row in PruneStructured(skip=["features.0.conv"])(net, given).layers}
    assert rows["hidden.linear1"].note == "800→384 in, 500→248 out"
    assert rows["hidden.linear1"].after == 384 * 248 + 248
    assert "skip" in rows["features.0.conv"].note
    assert rows["head"].note == "500→248 in"


def test_channels_are_multiples_and_narrow_layers_stay():
    net, given = made("lenet5")
    outcome = PruneStructured(ratio=0.3)(net, given)
    rows = {row.name: row.note for row in outcome.layers}
    assert "left alone" in rows["features.conv1"]
    assert outcome.net.hidden.linear1.out_features == 80  # 120 - 36 = 84


def test_a_net_of_one_layer_is_refused():
    torch.manual_seed(0)
    with pytest.raises(UsageError, match="its outputs are those of the net"):
        PruneStructured()(Linear((1, 28, 28), 10), context(IMAGE, torch.randn(1, 1, 28, 28)))


@pytest.mark.parametrize(
    "fields", [{"criterion": "size"}, {"heads": "none"}, {"ratio": 1.0}, {"round_to": 0}, {"budget": {"watts": 1}}]
)
def test_wrong_fields_are_refused(fields):
    with pytest.raises(UsageError):
        PruneStructured(**fields)


def test_shared_tensors_stay_shared():
    net = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 8))
    net[2].weight = net[1].weight
    step = {"kind": "channels", "modules": {}, "tensors": {"1.weight": [6, 6], "2.weight": [6, 6]}}
    again = rebuild(net, [step])
    assert again[1].weight is again[2].weight and again[1].weight.shape == (6, 6)
