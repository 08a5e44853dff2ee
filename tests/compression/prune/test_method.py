"""Pruning of single weights: scores, counts, schedules, and zeros that stay zero."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bmx.compression.prune import selection
from bmx.compression.prune.fixed_masks import Masking, Ramp
from bmx.compression.prune.method import Prune
from bmx.errors import UsageError
from tests.compression.pruning import context, small_net


def zeros(net):
    return sum(int((p == 0).sum()) for p in net.parameters() if p.ndim > 1)


def train(net, tuning, steps, total, optimizer=None, begin=0):
    optimizer = optimizer or torch.optim.Adam(net.parameters(), 0.05, weight_decay=0.1)
    for step in range(begin, begin + steps):
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(8, 12, generator=generator)
        y = torch.randint(0, 4, (8,), generator=generator)
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
        tuning.after_step(step + 1, total)
    return optimizer


def test_lamp_scores_by_hand():
    """Squares 1, 4, 9, 16: over the sums of what is not smaller: 1/30, 4/29, 9/25, 16/16."""
    score = selection.scores({"w": torch.tensor([[2.0, -1.0], [4.0, 3.0]])}, "lamp")["w"]
    expected = torch.tensor([[4 / 29, 1 / 30], [1.0, 9 / 25]], dtype=torch.float64)
    torch.testing.assert_close(score, expected)


def test_magnitude_ranks_all_layers_together_and_lamp_each_within_itself():
    weights = {"small": torch.tensor([[0.1, 0.2]]), "large": torch.tensor([[10.0, 20.0]])}
    by_size = selection.lowest(selection.scores(weights, "magnitude"), 2)
    assert by_size["small"].tolist() == [[True, True]] and by_size["large"].tolist() == [[False, False]]
    by_layer = selection.lowest(selection.scores(weights, "lamp"), 2)
    assert by_layer["small"].tolist() == [[True, False]] and by_layer["large"].tolist() == [[True, False]]


def test_random_follows_the_seed_and_keeps_what_is_pruned():
    weights = {"w": torch.randn(30, 30)}
    one, same, other = (selection.scores(weights, "random", seed)["w"] for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    pruned = {"w": weights["w"].masked_fill(selection.lowest({"w": one}, 300)["w"], 0)}
    again = selection.lowest(selection.scores(pruned, "random", 1), 500)["w"]
    assert bool(again[pruned["w"] == 0].all())


@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=4), st.floats(0, 1), st.booleans()
)
def test_exactly_as_many_go_as_asked(shapes, share, ties):
    generator = torch.Generator().manual_seed(3)
    weights = {str(i): torch.randn(shape, generator=generator) for i, shape in enumerate(shapes)}
    if ties:
        weights = {name: torch.ones_like(w) for name, w in weights.items()}
    total = sum(w.numel() for w in weights.values())
    for criterion in selection.CRITERIA:
        gone = selection.lowest(selection.scores(weights, criterion), round(share * total))
        assert sum(int(g.sum()) for g in gone.values()) == round(share * total)


@given(st.integers(1, 5), st.integers(1, 4), st.sampled_from([(), (3,), (2, 2)]), st.floats(0, 1))
def test_two_of_four_never_takes_three(outputs, fours, kernel, share):
    weight = torch.randn(outputs, 4 * fours, *kernel, generator=torch.Generator().manual_seed(0))
    gone = selection.lowest({"w": weight.abs()}, round(share * weight.numel() / 2), "2:4")["w"]
    assert int(gone.sum()) == round(share * weight.numel() / 2)
    per_group = gone.movedim(1, -1).reshape(-1, 4).sum(1)
    assert int(per_group.max()) <= 2
    if share == 1:
        assert bool((per_group == 2).all())


def test_two_of_four_by_hand():
    gone = selection.lowest({"w": torch.tensor([[3.0, 1.0, 4.0, 2.0, 9.0, 8.0, 7.0, 6.0]])}, 4, "2:4")["w"]
    assert gone.tolist() == [[False, True, False, True, False, False, True, True]]


def test_the_ramp_is_cubic():
    ramp = Ramp(begin=0.2, end=0.7, updates=10)
    assert [ramp.level(step, 100) for step in (0, 20, 24)] == [0, 0, 0]
    assert ramp.level(25, 100) == pytest.approx(1 - 0.9**3)
    assert ramp.level(45, 100) == ramp.level(49, 100) == pytest.approx(1 - 0.5**3)
    assert ramp.level(69, 100) == pytest.approx(1 - 0.1**3)
    assert ramp.level(70, 100) == ramp.level(100, 100) == 1


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_pruned_weights_stay_exactly_zero(optimizer):
    outcome = Prune(sparsity=0.8, schedule="once")(small_net(), context())
    wanted = outcome.facts["zeros_wanted"]
    assert wanted == 256 == zeros(outcome.net)  # 0.8 of 12*20 + 20*4
    gone = {name: p == 0 for name, p in outcome.net.named_parameters() if p.ndim > 1}
    make = {
        "adam": lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.5),
        "sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.1),
    }[optimizer]
    before = copy.deepcopy(outcome.net.state_dict())
    train(outcome.net, outcome.tuning, 20, 20, make(outcome.net.parameters()))
    assert all(bool((p[gone[name]] == 0).all()) for name, p in outcome.net.named_parameters() if name in gone)
    assert zeros(outcome.net) == wanted
    assert not torch.equal(before["0.weight"], outcome.net[0].weight)


def test_cubic_prunes_while_training_and_finish_leaves_it():
    net = small_net()
    outcome = Prune(sparsity=0.9, begin=0.1, end=0.5, updates=4)(net, context())
    assert zeros(outcome.net) == 0 and not outcome.tuning.settled
    assert "during" in outcome.layers[0].note
    counts = []
    optimizer = None
    for step in range(20):
        optimizer = train(outcome.net, outcome.tuning, 1, 20, optimizer, step)
        counts.append(zeros(outcome.net))
    assert counts[0] == counts[1] == counts[2] == 0
    assert counts == sorted(counts)
    assert counts[9] == counts[-1] == 288
    assert outcome.tuning.settled
    final = outcome.finish(outcome.net, context())
    assert all(torch.equal(a, b) for a, b in zip(final.net.parameters(), outcome.net.parameters(), strict=True))
    assert zeros(net) == 0, "the given net stays as it is"


def test_without_training_finish_prunes_at_once():
    cubic = Prune(sparsity=0.9)(small_net(), context())
    once = Prune(sparsity=0.9, schedule="once")(small_net(), context())
    final = cubic.finish(cubic.net, context())
    assert zeros(final.net) == 288
    assert all(torch.equal(a, b) for a, b in zip(final.net.parameters(), once.net.parameters(), strict=True))
    assert final.tuning is None


def test_a_resumed_tuning_goes_on_bit_for_bit():
    whole = Prune(sparsity=0.9, end=0.8)(small_net(), context())
    train(whole.net, whole.tuning, 20, 20)

    first = Prune(sparsity=0.9, end=0.8)(small_net(), context())
    optimizer = train(first.net, first.tuning, 9, 20)
    saved = copy.deepcopy((first.net.state_dict(), optimizer.state_dict(), first.tuning.state_dict()))
    second = Prune(sparsity=0.9, end=0.8)(small_net(), context())
    second.net.load_state_dict(saved[0])
    optimizer = torch.optim.Adam(second.net.parameters(), 0.05, weight_decay=0.1)
    optimizer.load_state_dict(saved[1])
    second.tuning.load_state_dict(saved[2])
    train(second.net, second.tuning, 11, 20, optimizer, begin=9)
    assert all(torch.equal(a, b) for a, b in zip(whole.net.parameters(), second.net.parameters(), strict=True))


def test_a_budget_is_met_exactly():
    for budget, left in ((0.1, 32), (17, 17), (1.0, 320), (1 / 3, 106)):
        outcome = Prune(schedule="once", budget={"params": budget})(small_net(), context())
        assert 320 - zeros(outcome.net) == left, budget


@pytest.mark.parametrize("budget", [0, 321, 0.0001])
def test_a_budget_that_cannot_be_met_says_what_can(budget):
    with pytest.raises(UsageError) as caught:
        Prune(budget={"params": budget})(small_net(), context())
    assert "320" in caught.value.what


def test_left_alone_is_named():
    outcome = Prune(schedule="once", sparsity=0.5, skip=["3"])(small_net(), context())
    rows = {row.name: row for row in outcome.layers}
    assert list(rows) == ["0", "2", "3"]
    assert rows["0"].before == 260 and rows["0"].after == 140 and rows["0"].note == "50.00% zeros"
    assert "normalisation" in rows["2"].note and rows["2"].after == 40
    assert "skip" in rows["3"].note
    assert zeros(outcome.net[3]) == 0


def test_a_layer_that_does_not_exist_gets_the_nearest():
    with pytest.raises(UsageError, match="no layer") as caught:
        Prune(skip=["hiddn"])(nn.Sequential(), context())
    net = nn.Module()
    net.hidden = nn.Linear(2, 2)
    with pytest.raises(UsageError) as caught:
        Prune(skip=["hiddn"])(net, context())
    assert "hidden" in caught.value.fix
    with pytest.raises(UsageError, match="no layer to prune"):
        Prune(skip=["*"])(net, context())


def test_a_net_without_layers_to_prune_is_refused():
    with pytest.raises(UsageError, match="no layer to prune"):
        Prune()(nn.Sequential(nn.LayerNorm(3)), context())


def test_shared_weights_are_pruned_once():
    net = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    net[1].weight = net[0].weight
    outcome = Prune(schedule="once", sparsity=0.5)(net, context())
    assert int((outcome.net[0].weight == 0).sum()) == 32
    assert "shares" in outcome.layers[1].note


def test_recurrent_layers_and_attention_are_pruned():
    net = nn.ModuleList([nn.LSTM(8, 8), nn.MultiheadAttention(8, 2)])
    outcome = Prune(schedule="once", sparsity=0.9)(net, context())
    assert zeros(outcome.net) == outcome.facts["zeros_wanted"] == -(-int(0.9 * (2 * 32 * 8 + 4 * 64) * 10) // 10)


def test_two_of_four_on_a_net_names_what_does_not_fit():
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(8, 3))
    outcome = Prune(schedule="once", pattern="2:4")(net, context())
    rows = {row.name: row.note for row in outcome.layers}
    assert "fours" in rows["0"] and rows["1"] == "50.00% zeros" and rows["3"] == "50.00% zeros"
    groups = (outcome.net[1].weight == 0).movedim(1, -1).reshape(-1, 4).sum(1)
    assert bool((groups == 2).all())


def test_the_lottery_ticket_goes_back_to_its_initial_weights():
    initial = small_net(5)
    trained = copy.deepcopy(initial)
    with torch.no_grad():
        for p in trained.parameters():
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
    ticket = Prune(sparsity=0.7, lottery_ticket=True)(trained, context(initial=lambda: copy.deepcopy(initial)))
    chosen = Prune(sparsity=0.7, schedule="once")(trained, context())
    for name, p in ticket.net.named_parameters():
        mask = dict(chosen.net.named_parameters())[name] != 0 if p.ndim > 1 else torch.ones_like(p, dtype=torch.bool)
        assert torch.equal(p, dict(initial.named_parameters())[name] * mask), name
    train(ticket.net, ticket.tuning, 3, 3)
    assert zeros(ticket.net) == 224


def test_a_lottery_ticket_needs_the_initial_weights():
    with pytest.raises(UsageError, match="initialisation"):
        Prune(lottery_ticket=True)(small_net(), context())


@pytest.mark.parametrize(
    "fields",
    [
        {"criterion": "lampp"},
        {"pattern": "1:4"},
        {"schedule": "linear"},
        {"sparsity": 1.0},
        {"begin": 0.7, "end": 0.3},
        {"updates": 0},
        {"budget": {"macs": 0.1}},
        {"pattern": "2:4", "sparsity": 0.9},
    ],
)
def test_wrong_fields_are_refused(fields):
    with pytest.raises(UsageError):
        Prune(**fields)


def test_weights_that_happen_to_be_zero_are_not_taken_for_pruned():
    net = nn.Sequential(nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[0.0, 1.0], [2.0, 3.0]]))
    tuning = Masking(net, ["0.weight"], 2, ramp=Ramp(0.0, 1.0, 2))
    tuning.prune(0.5)
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[5.0, 0.0], [2.0, 3.0]]))
    tuning.after_step(2, 2)
    assert net[0].weight.tolist() == [[0.0, 0.0], [2.0, 3.0]]
