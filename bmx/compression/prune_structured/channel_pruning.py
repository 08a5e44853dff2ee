"""Chooses the channels and attention heads to prune, and verifies that their removal equals setting them to zero."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from bmx.compression.prunable import named_by
from bmx.compression.prune_structured.channel_groups import Group, Groups, find_groups
from bmx.compression.prune_structured.channel_removal import (
    Removal,
    heads_field,
    largest_difference,
    removal,
    silenced,
    take_out,
)
from bmx.compression.prune_structured.channel_rules import trace_channels
from bmx.compression.prune_structured.channel_trace import ChannelTrace

# From a group of channels to a score for each of them.
Importance = Callable[[Group], Tensor]

# Tolerance relative to the largest output: sums of different lengths differ in their last digits.
_SAME = 1e-4
_NOT_ALIKE = "the net without some of its channels is not the net with them at zero"


@dataclass(frozen=True)
class KeptChannels:
    """Number of channels (of each head or part) or whole heads that a group keeps.

    Attributes:
        left: number that stays.
        total: number before.
        step: granularity of ``left``.
    """

    left: int
    total: int
    step: int


@dataclass(frozen=True)
class Channels:
    """The prunable channels of a net.

    Attributes:
        groups: all groups of the net.
        sure: the verified groups, whose removal changes nothing but their own contribution.
        reasons: why layers keep all or some of their outputs, by path.
        heads: for groups of whole attention heads, by name, the paths of the attention modules.
    """

    groups: Groups
    sure: Sequence[Group]
    reasons: Mapping[str, str]
    heads: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def kept(self, ratio: float, round_to: int, raised: Mapping[str, int] | None = None) -> dict[str, KeptChannels]:
        """The number of channels that each group keeps.

        Args:
            ratio: fraction of each group's channels that is pruned.
            round_to: the remaining channels are a multiple of it; a group with fewer keeps them all.
            raised: by group, extra channels that it keeps beyond the ratio.
        """
        found = {}
        for group in self.sure:
            total, step = len(group.classes), 1 if group.name in self.heads else round_to
            left = min(total, kept(total, ratio, step) + (raised or {}).get(group.name, 0))
            found[group.name] = KeptChannels(left, total, step)
        return found

    def narrow(self, net: nn.Module, keep: Mapping[str, KeptChannels], importance: Importance) -> None:
        """Removes the channels of least importance from ``net``, in place; all are ranked before any is removed.

        Args:
            net: the net these channels were found in, or a copy of it; may be on the meta device.
            keep: how many stay, by group.
            importance: scores the channels of a group.
        """
        chosen = []
        for group in self.sure:
            go = keep[group.name].total - keep[group.name].left
            chosen.append((group, importance(group).argsort(stable=True)[:go].tolist() if go else []))
        take_out(net, self.removal(chosen), self.groups)

    def removal(self, chosen: Sequence[tuple[Group, Sequence[int]]]) -> Removal:
        """The indices to remove, of all tensors, for the chosen channels of each group."""
        heads = {
            path: len(group.classes) - len(numbers)
            for group, numbers in chosen
            for path in self.heads.get(group.name, ())
            if numbers
        }
        return removal(chosen, heads)

    def ratios(self, round_to: int) -> list[float]:
        """All ratios at which the number of channels of some group changes, ascending, from 0 on."""
        found = set()
        for group in self.sure:
            size, step = len(group.classes), 1 if group.name in self.heads else round_to
            for k in range(1, size):
                if kept(size, k / size, step) < kept(size, (k - 1) / size, step):
                    found.add(k / size)
        return [0.0, *sorted(found)]


def even(group: Group) -> Tensor:
    """Constant importance, which needs no weights: to compute the size of a pruned net."""
    return torch.arange(len(group.classes), dtype=torch.float32)


def find_channels(net: nn.Module, inputs: Tensor, skip: Sequence[str] = (), fewer_heads: bool = False) -> Channels:
    """Finds the prunable channels of ``net`` and verifies each group of them.

    Coupled channels are found by tracing all channels through the net's own code. A group is verified if the net
    without half of its channels computes the same as the net with them set to zero; other groups are not pruned. The
    outputs of the net stay.

    Args:
        net: in eval mode, with its weights; not modified.
        inputs: samples (N, ...) as the net takes them, two or more.
        skip: names of layers that keep their channels, and with them those that they are tied to.
        fewer_heads: whether whole heads of attention layers are removed; otherwise every head becomes narrower.
    """
    keep = [
        name
        for name, _ in net.named_parameters(remove_duplicate=False)
        if any(named_by(name.rpartition(".")[0], pattern) for pattern in skip)
    ]
    trace = trace_channels(net, inputs[:2], keep)
    axes, paths = _heads(net, trace) if fewer_heads else ({}, {})
    groups = find_groups(trace, axes)
    heads = {g.name: sorted({paths[number] for number in g.splits}) for g in groups.found if g.splits}
    reasons = {name.rpartition(".")[0]: why for name, why in groups.stays.items()}
    reasons |= {n: "recurrent layers keep their width" for n, m in net.named_modules() if _is_recurrent(m)}
    everything = Channels(groups, groups.found, reasons, heads)
    sure = groups.found
    if _differs(net, everything, groups.found, inputs):
        problems = {group.name: _differs(net, everything, [group], inputs) for group in groups.found}
        sure = [group for group in groups.found if not problems[group.name]]
        reasons |= {name: why for name, why in problems.items() if why}
        while sure and _differs(net, everything, sure, inputs):  # each alone is verified, but not all together
            reasons[sure[-1].name] = _NOT_ALIKE
            sure = sure[:-1]
    return Channels(groups, sure, reasons, heads)


def check_narrowed(net: nn.Module, narrowed: nn.Module, channels: Channels, gone: Removal, inputs: Tensor) -> str:
    """How a pruned net differs from the original with the same channels at zero; empty if it does not."""
    silent = copy.deepcopy(net)
    silenced(silent, gone.made)
    if largest_difference(narrowed, silent, inputs) <= _SAME:
        return ""
    # An activation may map zero to nonzero; outputs that nothing reads may have any value, so they get noise.
    noisy = copy.deepcopy(net)
    silenced(noisy, gone.made, noise=True)
    silenced(noisy, gone.read)
    return "" if largest_difference(narrowed, noisy, inputs) <= _SAME else _NOT_ALIKE


def _differs(net: nn.Module, channels: Channels, groups: Sequence[Group], inputs: Tensor) -> str:
    """Why half of the channels of these groups cannot be removed; empty if they can."""
    gone = channels.removal([(group, range(0, len(group.classes), 2)) for group in groups])
    narrowed = copy.deepcopy(net)
    try:
        take_out(narrowed, gone, channels.groups)
        return check_narrowed(net, narrowed, channels, gone, inputs)
    except (RuntimeError, ValueError, LookupError, AttributeError, AssertionError, TypeError, ArithmeticError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        return f"the net does not run without some of its channels: {first[:120]}"


def _heads(net: nn.Module, trace: ChannelTrace) -> tuple[dict[int, int], dict[int, str]]:
    """For each split inside an attention module, the axis of its heads, and the path of the module."""
    axes, paths = {}, {}
    for path, module in net.named_modules():
        name = heads_field(module)
        if name is None:
            continue
        count, own = getattr(module, name), {id(p) for p in module.parameters()}
        mine = [span for span in trace.spans.values() if span.makes and id(span.tensor) in own]
        for number, split in enumerate(trace.splits):
            sizes = list(split.labels.shape[1:])
            least = int(split.labels.min())
            if count in sizes[:-1] and any(span.start <= least < span.start + span.count for span in mine):
                axes[number] = len(sizes) - 2 - sizes[:-1][::-1].index(count)
                paths[number] = path
    return axes, paths


def kept(channels: int, ratio: float, round_to: int) -> int:
    """How many of ``channels`` stay: a multiple of ``round_to``, at least ``round_to``, or all where there are fewer.

    The number is rounded down, so that a larger ratio never keeps more.
    """
    left = channels - int(ratio * channels + 1e-9)
    return channels if left == channels else max(left - left % round_to, min(round_to, channels))


def _is_recurrent(module: nn.Module) -> bool:
    return isinstance(module, nn.RNNBase | nn.RNNCellBase)
