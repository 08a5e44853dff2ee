"""Weights that share values: the clusters, their gradients, and Deep Compression as a whole."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bmx.compression.deep.kmeans import kmeans
from bmx.compression.deep.method import Deep
from bmx.compression.deep.weight_sharing import Sharing
from bmx.compression.prune.fixed_masks import Masking, Ramp
from bmx.errors import UsageError
from bmx.packing.tensors import total_bytes
from tests.compression.prune.test_method import train, zeros
from tests.compression.pruning import context, small_net

NUMBERS = st.lists(st.floats(-100, 100, width=32), max_size=40)


def test_kmeans_by_hand():
    centroids, labels = kmeans(torch.tensor([1.0, 10.0, 2.0, 12.0, 11.0, 3.0]), 2)
    assert centroids.tolist() == [2.0, 11.0]
    assert labels.tolist() == [0, 1, 0, 1, 1, 0]


@given(NUMBERS, st.integers(1, 8))
def test_every_number_is_with_its_nearest_centroid(numbers, most):
    values = torch.tensor(numbers)
    centroids, labels = kmeans(values, most)
    assert len(centroids) <= most and len(labels) == len(values)
    assert labels.unique().tolist() == list(range(len(centroids)))
    assert centroids.tolist() == sorted(centroids.tolist())
    if len(values):
        nearest = (values[:, None] - centroids).abs().min(1).values
        torch.testing.assert_close((values - centroids[labels]).abs(), nearest, rtol=1e-4, atol=1e-4)


@given(NUMBERS)
def test_few_numbers_stay_as_they_are(numbers):
    values = torch.tensor(numbers)
    centroids, labels = kmeans(values, 64)
    assert torch.equal(centroids[labels], values)


def shared_net(gradient):
    net = nn.Sequential(nn.Linear(3, 2, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 1.1, 0.01], [5.0, 5.1, 4.9]]))
    tuning = Sharing(net, Masking(net, ["0.weight"], 1, ramp=Ramp()), {"0.weight": 2}, 0.0, gradient)
    tuning.share()
    return net, tuning


@pytest.mark.parametrize("gradient", ["sum", "mean"])
def test_a_shared_value_moves_by_the_gradients_of_its_weights(gradient):
    net, tuning = shared_net(gradient)
    torch.testing.assert_close(net[0].weight, torch.tensor([[1.05, 1.05, 0.0], [5.0, 5.0, 5.0]]))
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for part in (1.0, 3.0):  # a batch in two parts
        (net[0].weight * torch.tensor([[1.0, 2.0, 9.0], [0.25, 0.5, 0.75]])).sum().mul(part).backward()
    low, high = {"sum": (12.0, 6.0), "mean": (6.0, 2.0)}[gradient]
    torch.testing.assert_close(net[0].weight.grad, torch.tensor([[low, low, 0.0], [high, high, high]]))
    optimizer.step()
    tuning.after_step(1, 1)
    expected = torch.tensor([[1.05 - 0.1 * low] * 2 + [0.0], [5 - 0.1 * high] * 3])
    torch.testing.assert_close(net[0].weight.data, expected)
    assert net[0].weight[0, 2] == 0


def deep(**fields):
    fields = {"sparsity": 0.75, "end": 0.4, "share": 0.6, "bits": {"conv": 3, "linear": 2, "bias": 2}, **fields}
    return Deep(**fields)(small_net(), context())


def distinct(net):
    return [len(p[p != 0].unique()) for name, p in net.named_parameters() if name[0] in "03"]


def test_pruned_then_shared_then_tuned():
    outcome = deep()
    before = copy.deepcopy(outcome.net.state_dict())
    optimizer = train(outcome.net, outcome.tuning, 11, 20)
    assert not outcome.tuning.settled and max(distinct(outcome.net)) > 4
    train(outcome.net, outcome.tuning, 1, 20, optimizer, 11)
    assert outcome.tuning.settled and max(distinct(outcome.net)) <= 4
    assert zeros(outcome.net) == outcome.facts["zeros_wanted"] == 240
    shared = outcome.net[0].weight.detach().clone()
    train(outcome.net, outcome.tuning, 8, 20, optimizer, 12)
    assert max(distinct(outcome.net)) <= 4 and zeros(outcome.net) == 240
    assert not torch.equal(shared, outcome.net[0].weight), "the values are trained"
    assert not torch.equal(before["2.weight"], outcome.net[2].weight), "what is not shared is trained too"
    final = outcome.finish(outcome.net, context())
    assert max(distinct(final.net)) <= 4 and zeros(final.net) == 240
    for a, b in zip(final.net.parameters(), outcome.net.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    assert all(torch.equal(p, p.half().float()) for name, p in final.net.named_parameters() if name[0] in "03")
    note = final.layers[0].note
    assert "% zeros" in note and note.endswith(f"{distinct(final.net)[0]} values")


def test_without_training_finish_does_it_all():
    outcome = deep()
    final = outcome.finish(outcome.net, context())
    assert zeros(outcome.net) == 0 and zeros(final.net) == 240 and max(distinct(final.net)) <= 4


@pytest.mark.parametrize("stop", [5, 15])
def test_a_resumed_tuning_goes_on_bit_for_bit(stop):
    whole = deep()
    train(whole.net, whole.tuning, 20, 20)
    first = deep()
    optimizer = train(first.net, first.tuning, stop, 20)
    saved = copy.deepcopy((first.net.state_dict(), optimizer.state_dict(), first.tuning.state_dict()))
    second = deep()
    second.net.load_state_dict(saved[0])
    optimizer = torch.optim.Adam(second.net.parameters(), 0.05, weight_decay=0.1)
    optimizer.load_state_dict(saved[1])
    second.tuning.load_state_dict(saved[2])
    train(second.net, second.tuning, 20 - stop, 20, optimizer, begin=stop)
    assert all(torch.equal(a, b) for a, b in zip(whole.net.parameters(), second.net.parameters(), strict=True))


def test_the_state_is_plain_containers_and_tensors(tmp_path):
    outcome = deep()
    train(outcome.net, outcome.tuning, 15, 20)
    torch.save(outcome.tuning.state_dict(), tmp_path / "state")
    state = torch.load(tmp_path / "state", weights_only=True)
    again = deep()
    again.tuning.load_state_dict(state)
    assert again.tuning.settled


def test_kinds_that_are_to_stay_exact_do():
    outcome = deep(bits={"conv": 3, "linear": 2, "bias": None})
    final = outcome.finish(outcome.net, context())
    assert torch.equal(final.net[0].bias, outcome.net[0].bias)


def test_convolutions_have_their_own_bits_and_what_is_left_alone_stays():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(8, 4))
    outcome = Deep(sparsity=0.2, skip=["2"])(net, context())
    final = outcome.finish(outcome.net, context())
    assert 16 < len(final.net[0].weight.unique()) <= 33
    assert torch.equal(final.net[2].weight, net[2].weight) and torch.equal(final.net[1].weight, net[1].weight)


def test_it_packs_into_few_bytes():
    net = nn.Sequential(nn.Linear(300, 200), nn.ReLU(), nn.Linear(200, 10))
    outcome = Deep(sparsity=0.95)(net, context())
    final = outcome.finish(outcome.net, context()).net
    assert total_bytes(final.state_dict()) * 45 < sum(4 * p.numel() for p in net.parameters())


def test_sharing_lowers_the_loss_of_what_it_trains():
    outcome = deep(sparsity=0.5, end=0.1, share=0.1)
    x = torch.randn(64, 12, generator=torch.Generator().manual_seed(0))
    y = x[:, :4].argmax(1)
    optimizer, losses = torch.optim.Adam(outcome.net.parameters(), 0.01), []
    for step in range(60):
        optimizer.zero_grad()
        loss = F.cross_entropy(outcome.net(x), y)
        loss.backward()
        optimizer.step()
        outcome.tuning.after_step(step + 1, 60)
        losses.append(loss.item())
    assert losses[-1] < 0.75 * losses[8]


@pytest.mark.parametrize(
    "fields",
    [{"share": 0.1, "end": 0.5}, {"bits": {"linear": 9}}, {"bits": {"head": 3}}, {"gradient": "max"}, {"sparsity": 2}],
)
def test_wrong_fields_are_refused(fields):
    with pytest.raises(UsageError):
        Deep(**fields)
