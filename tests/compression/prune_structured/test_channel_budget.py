"""The search for what is just within a budget, on a net whose cost is easy to work out."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmx.compression.prune_structured.channel_budget import fill
from bmx.compression.prune_structured.channel_pruning import KeptChannels, kept

RATIOS = [0.0, *(k / 64 for k in range(1, 64))]


def net(widths, round_to):
    """A chain of linear layers of these widths, after an input of 10 and before an output of 3."""

    def trial(ratio, raised):
        left = [min(w, kept(w, ratio, round_to) + raised.get(str(i), 0)) for i, w in enumerate(widths)]
        sizes = [10, *left, 3]
        costs = {"params": sum(a * b + b for a, b in pairwise(sizes))}
        return costs, {str(i): KeptChannels(a, w, round_to) for i, (a, w) in enumerate(zip(left, widths, strict=True))}

    return trial


@given(st.lists(st.integers(1, 64), min_size=1, max_size=4), st.sampled_from([1, 4, 8]), st.floats(0, 1))
def test_no_group_could_have_another_step(widths, round_to, share):
    trial = net(widths, round_to)
    least, most = trial(RATIOS[-1], {})[0]["params"], trial(0.0, {})[0]["params"]
    allowed = {"params": int(least + share * (most - least))}
    ratio, raised = fill(trial, RATIOS, allowed)
    costs, groups = trial(ratio, raised)
    assert costs["params"] <= allowed["params"]
    for name, group in groups.items():
        if group.left < group.total:
            more = {**raised, name: raised.get(name, 0) + round_to}
            assert trial(ratio, more)[0]["params"] > allowed["params"]


def test_by_hand():
    """10 → a → b → 3 with a, b of 8 in steps of 4: 4 and 4 are 79 parameters, 8 and 4 are 139, 8 and 8 are 187."""
    trial = net([8, 8], 4)
    assert fill(trial, RATIOS, {"params": 79})[1] == {}
    assert fill(trial, RATIOS, {"params": 138})[1] == {"1": 4}
    assert fill(trial, RATIOS, {"params": 139})[1] == {"0": 4}
    assert fill(trial, RATIOS, {"params": 187})[0] == 0.0


@pytest.mark.parametrize(
    ("channels", "ratio", "round_to", "left"),
    [(50, 0.5, 8, 24), (50, 0.0, 8, 50), (50, 0.99, 8, 8), (6, 0.5, 8, 6), (6, 0.5, 1, 3), (10, 0.3, 1, 7)],
)
def test_how_many_are_kept(channels, ratio, round_to, left):
    assert kept(channels, ratio, round_to) == left
