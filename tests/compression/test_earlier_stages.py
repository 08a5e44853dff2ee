"""A later compression keeps what an earlier one made, or is refused before it begins: every ordered pair."""

import copy

import pytest
import torch
from torch import nn

from bmx.compression import earlier_stages
from bmx.compression.deep.method import Deep
from bmx.compression.earlier_stages import VALUES, ZEROS, check, check_order, holding, made_by
from bmx.compression.low_rank.method import LowRank
from bmx.compression.prune.method import Prune
from bmx.compression.prune_structured.method import PruneStructured
from bmx.compression.quantize.layers import QuantizedLayer
from bmx.compression.quantize.method import Quantize
from bmx.compression.rebuild import rebuild
from bmx.errors import UsageError
from tests.compression.pruning import SPEC, context

METHODS = {
    "prune_structured": lambda: PruneStructured(round_to=1, ratio=0.25),
    "low_rank": lambda: LowRank(rule="energy", budget={"params": 0.6}),
    "prune": lambda: Prune(sparsity=0.6, schedule="once"),
    "prune_more": lambda: Prune(sparsity=0.8, schedule="once"),
    "deep": lambda: Deep(sparsity=0.7, bits={"linear": 3, "conv": 3, "bias": None}),
    "quantize": lambda: Quantize(),
    "quantize_weights": lambda: Quantize(activations="none"),
}
# What is refused although the net could be changed: what it would lose.
REFUSED = {
    ("prune", "low_rank"): ZEROS,
    ("prune_more", "low_rank"): ZEROS,
    ("deep", "low_rank"): ZEROS,
    ("deep", "quantize"): VALUES,
    ("deep", "quantize_weights"): VALUES,
}


def net_of(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 40), nn.ReLU(), nn.Linear(40, 4)).eval()


def settled(word, net, given):
    """The final net of a method without fine-tuning, and its steps."""
    outcome = METHODS[word]()(copy.deepcopy(net), given)
    if outcome.finish is None:
        return outcome.net, list(outcome.recipe)
    last = outcome.finish(outcome.net, given)
    return last.net, [*outcome.recipe, *last.recipe]


def zeros(net):
    found = 0
    for module in net.modules():
        if isinstance(module, QuantizedLayer):
            found += int((module.weight == 0).sum())
    return found + sum(int((p == 0).sum()) for p in net.parameters() if p.ndim > 1 and p.is_floating_point())


@pytest.mark.parametrize("first", METHODS)
@pytest.mark.parametrize("second", METHODS)
def test_every_ordered_pair_keeps_what_was_made_or_is_refused(first, second):
    given = context()
    one, steps = settled(first, net_of(), given)
    method = METHODS[second]()
    if (first, second) in REFUSED:
        with pytest.raises(UsageError, match=r"zeros|values"):
            check(one, method, epochs=0)
        with pytest.raises(UsageError, match="would undo"):
            check_order([(first, METHODS[first](), 0), (second, method, 0)])
        return
    check(one, method, epochs=0)
    check_order([(first, METHODS[first](), 0), (second, method, 0)])
    try:
        two, more = settled(second, one, given)
    except UsageError as error:  # nothing left to do, which is told too
        assert first.startswith("quantize") or "zero already" in error.what or first == second, error.what
        return
    share_before, share_after = (zeros(n) / sum(p.numel() for p in n.parameters() if p.ndim > 1) for n in (one, two))
    if first.startswith(("prune", "deep")) and first != "prune_structured":
        assert share_after >= 0.7 * share_before, "structured pruning takes the weakest channels, and zeros with them"
    if first == "deep" and second != "deep":
        assert made_by(two, VALUES), "the codebooks are there"
    again = rebuild(net_of(1), [*steps, *more])
    again.load_state_dict(two.state_dict())
    inputs = torch.randn(8, *SPEC.input_shape)
    with torch.no_grad():
        assert torch.equal(again.eval()(inputs), two(inputs))


def test_fine_tuning_would_train_shared_values_apart():
    given = context()
    shared, _ = settled("deep", net_of(), given)
    for word in ("prune_more", "prune_structured"):
        with pytest.raises(UsageError, match="train the values apart"):
            check(shared, METHODS[word](), epochs=1)
    check(shared, METHODS["deep"](), epochs=1)


def test_less_sparsity_than_there_is_is_refused():
    given = context()
    pruned, _ = settled("prune_more", net_of(), given)
    with pytest.raises(UsageError, match="zero already"):
        Prune(sparsity=0.5)(pruned, given)


def test_zeros_hold_while_any_other_method_is_tuned():
    """Quantisation with its rounding in training: an optimiser's step brings no pruned weight back."""
    given = context()
    pruned, _ = settled("prune", net_of(), given)
    outcome = Quantize(qat=True, observer="minmax")(pruned, given)
    tuning = holding(outcome.net, outcome.tuning)
    before = {n: p.detach() == 0 for n, p in outcome.net.named_parameters() if p.ndim > 1}
    with torch.no_grad():
        for parameter in outcome.net.parameters():
            parameter.add_(0.1)
    tuning.after_step(1, 10)
    assert all((dict(outcome.net.named_parameters())[n][gone] == 0).all() for n, gone in before.items())
    state = tuning.state_dict()
    fresh = holding(copy.deepcopy(outcome.net), None)
    fresh.load_state_dict(state)
    assert fresh.settled


def test_a_schedule_holds_what_was_pruned_before_it_began():
    given = context()
    pruned, _ = settled("prune", net_of(), given)
    outcome = Prune(sparsity=0.9)(pruned, given)
    tuning = holding(outcome.net, outcome.tuning)
    gone = outcome.net[0].weight.detach() == 0
    with torch.no_grad():
        outcome.net[0].weight.add_(1.0)
    tuning.after_step(1, 1000)
    assert (outcome.net[0].weight[gone] == 0).all() and not tuning.settled
    again = holding(outcome.net, Prune(sparsity=0.9)(pruned, given).tuning)
    again.load_state_dict(tuning.state_dict())


def test_a_trained_net_is_neither_pruned_nor_shared():
    net = net_of()
    assert not made_by(net, ZEROS) and not made_by(net, VALUES)
    assert earlier_stages.holding(net, None) is None


def test_ranks_never_exceed_the_true_rank():
    net = net_of()
    with torch.no_grad():
        net[2].weight.copy_(torch.randn(40, 2) @ torch.randn(2, 48))
    for rule in ("energy", "activation", "kfac", "ratio"):
        outcome = LowRank(rule=rule, budget={"params": 0.5})(net, context())
        assert outcome.facts["ranks"]["2"] in ([1], [2]), rule
