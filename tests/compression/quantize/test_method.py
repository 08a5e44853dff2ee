"""Quantisation of whole nets: what is covered, how it is stored and built again, how it is tuned."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bmx.compression.quantize.batch_norm_folding import fold
from bmx.compression.quantize.bit_widths import least_bits
from bmx.compression.quantize.dataflow import flows
from bmx.compression.quantize.layers import QuantizedConv, QuantizedLinear, TunedWeights
from bmx.compression.quantize.method import Quantize
from bmx.compression.rebuild import rebuild
from bmx.errors import UsageError
from bmx.measure.macs import count_macs
from tests.compression.quantising import context, inputs, small

WAYS = [
    {},
    {"activations": "dynamic"},
    {"activations": "none"},
    {"activations": "none", "weights": 4, "group": 16},
    {"observer": "minmax"},
    {"observer": "percentile"},
]


def close(net, other, x, most):
    with torch.no_grad():
        a, b = net(x), other(x)
    assert (a - b).abs().max() <= most * a.abs().max()


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_it_is_nearly_the_same_net(way):
    net = small()
    outcome = Quantize(**way)(net, context(net))
    close(net, outcome.net, inputs(seed=5), 0.2 if way.get("weights") == 4 else 0.06)
    assert count_macs(outcome.net, inputs(1)) == count_macs(net, inputs(1))


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_built_again_and_loaded_it_answers_bit_for_bit(way, tmp_path):
    net = small()
    outcome = Quantize(**way)(net, context(net))
    torch.save({"state": outcome.net.state_dict(), "recipe": list(outcome.recipe)}, tmp_path / "file")
    content = torch.load(tmp_path / "file", weights_only=True)
    again = rebuild(small(seed=9), content["recipe"]).eval()
    again.load_state_dict(content["state"])
    with torch.no_grad():
        assert torch.equal(again(inputs(seed=5)), outcome.net(inputs(seed=5)))


def test_the_given_net_stays_as_it_is():
    net = small()
    before = copy.deepcopy(net.state_dict())
    Quantize(qat=True)(net, context(net))
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert type(net.conv1) is nn.Conv2d


def test_weights_are_stored_as_integers():
    net = small()
    made = Quantize(activations="none", weights=4, group=16)(net, context(net)).net
    assert made.tokens.weights.codes.dtype == torch.uint8 and made.tokens.weights.codes.shape == (16, 8)
    assert made.conv2.weights.codes.dtype == torch.int8, "four bits are for linear layers"
    assert not any(p.is_floating_point() and p.dim() > 1 for p in made.parameters())


def test_each_layer_is_named_with_what_became_of_it():
    net = small()
    layers = {row.name: row for row in Quantize(skip=["tokens"])(net, context(net)).layers}
    assert list(layers) == ["conv1", "norm", "conv2", "conv3", "tokens", "head"]
    assert layers["norm"].note == "went into conv1" and layers["norm"].after == 0
    assert layers["tokens"].note == "left alone: named in skip"
    assert layers["head"].note.partition(", cut off")[0] == "8-bit weights, 8-bit inputs"
    # The sum that reads conv1 and conv2 has no grid of its own; conv3 is read by a layer that stays in floats.
    assert layers["conv2"].note.partition(", cut off")[0] == "8-bit weights, 8-bit inputs, 8-bit outputs"


def test_a_kind_of_layer_that_is_not_covered_is_named():
    net = nn.Sequential(nn.ConvTranspose2d(2, 4, 2), nn.Flatten(), nn.Linear(324, 3)).eval()
    first, second = Quantize()(net, context(net)).layers
    assert first.note == "left alone: ConvTranspose2d stays in floats" and "8-bit" in second.note


def test_normalisation_folds_into_the_convolution():
    net = small()
    folded = copy.deepcopy(net)
    fold(folded, {"norm": "conv1"})
    assert isinstance(folded.norm, nn.Identity)
    with torch.no_grad():
        torch.testing.assert_close(folded(inputs()), net(inputs()))


def test_flow_follows_outputs_through_reused_and_in_place_relus():
    class Reused(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x):
            x = self.relu(self.a(x))
            y = self.b(x)
            y += x
            return self.c(self.relu(y))

    seen = flows(Reused().eval(), ["a", "b", "c"], inputs(1))
    assert seen["a"].layers == {"b"} and seen["a"].elsewhere and seen["a"].always_relu
    assert seen["b"].layers == set() and seen["b"].elsewhere and not seen["b"].always_relu
    assert seen["c"].returned and not seen["c"].elsewhere


def test_tuning_learns_and_finishing_changes_nothing():
    torch.manual_seed(0)
    net = small()
    outcome = Quantize(qat=True)(net, context(net))
    tuned = outcome.net
    assert isinstance(tuned.conv1.weights, TunedWeights)
    optimiser = torch.optim.SGD(tuned.parameters(), 0.05)
    x, y = inputs(), torch.randint(0, 3, (64,), generator=torch.Generator().manual_seed(3))
    losses = []
    for _ in range(15):
        loss = F.cross_entropy(tuned.train()(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] and all(p.grad is not None for p in tuned.parameters())
    tuned.eval()
    finished = outcome.finish(tuned, context(net))
    with torch.no_grad():
        assert torch.equal(finished.net(x), tuned(x))
    assert not any(isinstance(module, TunedWeights) for module in finished.net.modules())
    for start in (small(seed=4), rebuild(small(seed=4), outcome.recipe)):
        again = rebuild(start, finished.recipe).eval()
        again.load_state_dict(finished.net.state_dict())
        with torch.no_grad():
            assert torch.equal(again(x), finished.net(x))
    twice = outcome.finish(finished.net, context(net)).net.state_dict()
    assert all(torch.equal(tensor, twice[name]) for name, tensor in finished.net.state_dict().items())


def test_ranges_of_percentiles_and_least_error_are_narrower():
    net = small()
    x = inputs(256)
    x[0, 0, 0, 0] = 60.0  # one pixel far away from the others
    scales = {
        observer: Quantize(observer=observer, percentile=99.9)(net, context(net, x)).net.conv1.input.scale.item()
        for observer in ("minmax", "percentile", "mse")
    }
    assert scales["percentile"] < scales["minmax"] and scales["mse"] < scales["minmax"]


def test_ranges_come_from_as_many_samples_as_asked_for():
    net = small()
    given = context(net)
    asked = []

    def calibration(n):
        asked.append(n)
        return given.calibration(n)

    Quantize(samples=7, observer="minmax")(net, type(given)(**{**vars(given), "calibration": calibration}))
    assert asked[-1] == 7


def test_the_most_sensitive_layers_get_more_bits():
    # What a layer loses at four bits; eight bits and floats lose nothing. The score falls by the sum.
    loses = {"a": 0.5, "b": 3.0, "c": 0.1}
    rungs = {name: [4, 8, 32] for name in loses}

    def score(bits):
        return 90 - sum(loses[name] for name in bits if bits[name] == 4)

    def bits(drop):
        return least_bits(rungs, dict.fromkeys(loses, 1), score, 90.0, drop)[0]

    assert bits(4.0) == {"a": 4, "b": 4, "c": 4}
    assert bits(1.0) == {"a": 4, "b": 8, "c": 4}
    assert bits(0.2) == {"a": 8, "b": 8, "c": 4}
    assert bits(0.0) == {"a": 8, "b": 8, "c": 8}


def test_mixed_bits_hold_the_budget():
    net = small()
    given = context(net, inputs(400))
    plain = Quantize(weights=4, group=64, activations="none")(net, given)
    mixed = Quantize(weights=4, group=64, activations="none", mixed=0.0)(net, given)
    assert given.score(mixed.net) == 100.0
    assert mixed.facts["score_quantised"] == 100.0 and set(mixed.facts["sensitivity"]) == set(mixed.facts["bits"])
    assert sum(mixed.facts["bits"].values()) >= sum(plain.facts["bits"].values())


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.cells = kind(16, 8, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.cells(x.flatten(2))[0][:, -1])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_store_integers(kind):
    torch.manual_seed(0)
    net = Recurrent(kind).eval()
    x = inputs(shape=(2, 4, 4))
    x = x.flatten(2).transpose(1, 2).reshape(64, 2, 16)
    outcome = Quantize()(net, context(net, x))
    close(net, outcome.net, x, 0.06)
    again = rebuild(Recurrent(kind), outcome.recipe).eval()
    again.load_state_dict(outcome.net.state_dict())
    with torch.no_grad():
        assert torch.equal(again(x), outcome.net(x))
    assert sum(p.numel() for p in outcome.net.parameters()) == sum(p.numel() for p in net.parameters())


def test_torchs_fused_transformer_layer_does_not_go_past_the_rounding():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    net = nn.Sequential(nn.TransformerEncoder(layer, 1), nn.Flatten(), nn.Linear(32, 3)).eval()
    x = inputs(shape=(2, 16))
    made = Quantize()(net, context(net, x)).net
    assert isinstance(made[0].layers[0].linear1, QuantizedLinear)
    with torch.inference_mode():
        fast = made(x)
    assert torch.equal(fast, made(x).detach())


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"weights": 3}, "8 or 4"),
        ({"weights": 4}, "4-bit weights"),
        ({"activations": "int9"}, "int8"),
        ({"observer": "minmix"}, "minmax"),
        ({"group": 24, "weights": 4, "activations": "none"}, "power of two"),
        ({"percentile": 20}, "percentile"),
        ({"samples": 0}, "one sample"),
        ({"mixed": -1.0}, "0 or more"),
        ({"skip": ["haed"]}, "head"),
    ],
)
def test_what_cannot_be_is_refused(fields, says):
    net = small()
    with pytest.raises(UsageError) as caught:
        Quantize(**fields)(net, context(net))
    assert says in " ".join(caught.value.lines())


def test_a_net_that_is_quantised_already_is_refused():
    net = small()
    given = context(net)
    made = Quantize()(net, given).net
    assert isinstance(made.conv1, QuantizedConv)
    with pytest.raises(UsageError, match="no layer"):
        Quantize()(made, given)


class Positions(nn.Module):
    """Attention over tokens, with a table of positions."""

    def __init__(self):
        super().__init__()
        self.position = nn.Parameter(torch.randn(1, 32, 64))
        self.attention = nn.MultiheadAttention(64, 2, batch_first=True)
        self.head = nn.Linear(64, 3)

    def forward(self, x):
        x = x + self.position
        return self.head((x + self.attention(x, x, x, need_weights=False)[0]).mean(1))


@pytest.mark.parametrize("qat", [False, True])
def test_tables_and_fused_attention_are_stored_as_integers(qat):
    torch.manual_seed(0)
    net, x = Positions().eval(), inputs(shape=(32, 64))
    outcome = Quantize(qat=qat)(net, context(net, x))
    notes = {row.name: row.note for row in outcome.layers}
    assert notes[""] == "8-bit position; computes in floats"
    assert notes["attention"] == "8-bit in_proj_weight; computes in floats"
    final = outcome.finish(outcome.net, context(net, x)) if qat else outcome
    close(net, final.net, x, 0.03)
    assert not any(p.is_floating_point() and p.dim() > 1 for p in final.net.parameters())
    torch.manual_seed(5)
    again = rebuild(Positions(), final.recipe).eval()
    again.load_state_dict(final.net.state_dict())
    with torch.no_grad():
        assert torch.equal(again(x), final.net(x)) and torch.equal(again(x), outcome.net(x))
