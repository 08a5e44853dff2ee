"""Channels taken out of nets of many kinds: what is left is the net with these channels at zero."""

import copy

import pytest
import torch
from torch import nn

from bmx.compression.method import Context
from bmx.compression.prune_structured.channel_pruning import even, find_channels
from bmx.compression.prune_structured.method import PruneStructured
from bmx.compression.rebuild import rebuild
from bmx.data.spec import DataSpec
from bmx.errors import UsageError
from tests.compression.kinds_of_nets import CLASSES, KINDS, SHAPE, made
from tests.compression.pruning import context

SPEC = DataSpec("noise", "image", SHAPE, CLASSES)

# Layers that must become narrower in each kind of net, and what keeps others as they are.
NARROWER = {
    "Plain": ["stem", "middle"],
    "BatchNorms": ["stem", "middle"],
    "NormWithActivation": ["stem", "middle"],
    "SharedNorm": ["stem", "one", "two"],
    "InPlace": ["stem", "middle"],
    "Permuted": ["stem", "middle", "wide"],
    "Depthwise": ["stem", "expand", "depth"],
    "Multiplied": ["stem", "depth"],
    "Grouped": ["stem", "expand", "middle"],
    "Transposed": ["stem", "down", "up"],
    "GroupedTransposed": ["stem", "down", "up"],
    "Residual": ["stem", "one", "two"],
    "Concatenated": ["stem", "one", "two"],
    "SqueezeExcite": ["stem", "middle", "down", "up"],
    "Shuffled": ["stem", "branch", "last"],
    "Gated": ["stem", "pairs", "last"],
    "PixelShuffled": ["stem", "up", "last"],
    "Buffers": ["stem", "middle", "last"],
    "PlainAttribute": ["stem", "middle"],
    "Sigmoids": ["stem", "one", "two"],
    "DataDependent": ["middle"],
    "FromSizes": ["stem", "middle"],
    "Standardised": ["last"],
    "Tied": ["first", "one", "two"],
    "CalledTwice": ["stem", "middle", "last"],
    "TwoParents": ["a.0", "a.2"],
    "LayerNorms": ["second"],
    "TorchAttention": ["encoder.layers.0.self_attn.qkv", "encoder.layers.1.linear1"],
    "OwnAttention": ["value"],
    "Recurrent": ["rows"],
    "Cells": ["rows"],
    "Decoder": ["code", "wide", "up"],
    "ClassToken": ["rows", "second"],
}


def shapes(net: nn.Module) -> dict[str, torch.Size]:
    return {name: p.shape for name, p in net.named_parameters(remove_duplicate=False)}


@pytest.mark.parametrize("word", KINDS)
def test_every_kind_of_net_becomes_narrower_and_stays_itself(word):
    net = made(word)
    inputs = torch.randn(16, *SHAPE, generator=torch.Generator().manual_seed(1))
    before = copy.deepcopy(net.state_dict())
    outcome = PruneStructured(ratio=0.5, round_to=1)(net, context(SPEC, inputs[:1]))
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items()), "the given net stays"
    small = outcome.net
    old = shapes(net)
    for path in NARROWER[word]:
        weight = small.get_submodule(path).weight
        was = old.get(f"{path}.weight", torch.Size((96, 32)))
        assert weight.numel() < was.numel(), f"{path} is as wide as it was"

    again = rebuild(KINDS[word]().eval(), outcome.recipe)
    again.load_state_dict(small.state_dict())
    again.eval()
    with torch.no_grad():
        assert torch.equal(again(inputs), small(inputs))
    ties = [len({id(p) for p in n.parameters()}) for n in (small, again)]
    assert ties[0] == ties[1] and len(list(small.parameters())) == len(list(again.parameters()))


# Where a channel at zero still gives something: there the consumers' weights of it are at zero instead.
NOT_ZERO_AT_ZERO = ("OwnAttention", "PlainAttribute", "Sigmoids", "TorchAttention")


@pytest.mark.parametrize("word", [word for word in KINDS if word not in NOT_ZERO_AT_ZERO])
def test_what_is_left_computes_what_the_net_computes_with_the_others_at_zero(word):
    """Counted by hooks on the original's own layers, not by what the search for channels believes."""
    net = made(word)
    inputs = torch.randn(16, *SHAPE, generator=torch.Generator().manual_seed(1))
    channels = find_channels(net, inputs)
    assert channels.sure
    for group in channels.sure:
        gone = [(each, [0, 2]) if each is group else (each, []) for each in channels.sure]
        small = copy.deepcopy(net)
        keep = {name: kept.__class__(kept.total, kept.total, 1) for name, kept in channels.kept(0, 1).items()}
        keep[group.name] = keep[group.name].__class__(len(group.classes) - 2, len(group.classes), 1)
        channels.narrow(small, keep, lambda g: -1.0 * torch.isin(torch.arange(len(g.classes)), torch.tensor([0, 2])))
        zeroed = copy.deepcopy(net)
        for (name, axis), indices in channels.removal(gone).made.items():
            owner, _, own = name.rpartition(".")
            tensor = getattr(zeroed.get_submodule(owner), own)
            with torch.no_grad():
                tensor.index_fill_(axis, indices, 0.0)
        with torch.no_grad():
            torch.testing.assert_close(small(inputs), zeroed(inputs), rtol=1e-4, atol=1e-5)


def test_the_inputs_behind_a_permutation_are_the_right_ones():
    """The same channels taken out by hand, as numpy would do it."""
    net = made("Permuted")
    inputs = torch.randn(8, *SHAPE)
    channels = find_channels(net, inputs)
    group = next(g for g in channels.sure if g.name == "middle")
    small = copy.deepcopy(net)
    keep = channels.kept(0, 1)
    keep["middle"] = keep["middle"].__class__(12, 16, 1)
    channels.narrow(small, keep, even)
    by_hand = copy.deepcopy(net)
    with torch.no_grad():
        by_hand.wide.weight.data = net.wide.weight.view(16, 8, 8, 16)[..., 4:].reshape(16, -1)
        by_hand.middle.weight.data, by_hand.middle.bias.data = net.middle.weight[4:], net.middle.bias[4:]
        torch.testing.assert_close(small(inputs), by_hand(inputs))
    assert len(group.classes) == 16


def test_a_group_that_cannot_go_stays_and_says_why():
    class HardCoded(nn.Module):
        """The width is written into the code."""

        def __init__(self):
            super().__init__()
            self.one, self.two, self.head = nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, CLASSES)

        def forward(self, x):
            x = torch.relu(self.one(x[:, 0].flatten(1)[:, :64]))
            x = x.view(-1, 4, 8).transpose(1, 2).reshape(-1, 32)
            return self.head(torch.relu(self.two(x)))

    torch.manual_seed(0)
    outcome = PruneStructured(ratio=0.5, round_to=1)(HardCoded().eval(), context(SPEC, torch.randn(1, *SHAPE)))
    rows = {row.name: row.note for row in outcome.layers}
    assert rows["two"] == "32→16 out"
    assert "does not run" in rows["one"] or "not the net" in rows["one"]


def test_a_net_that_reads_all_channels_together_is_refused_with_the_reason():
    class Softmaxes(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.head = nn.Linear(4, 32), nn.Linear(32, CLASSES)

        def forward(self, x):
            return self.head(self.one(x.mean((2, 3))).softmax(1))

    given = context(SPEC, torch.randn(1, *SHAPE))
    assert isinstance(given, Context)
    with pytest.raises(UsageError, match="read together"):
        PruneStructured()(Softmaxes().eval(), given)
