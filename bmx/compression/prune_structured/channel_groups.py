"""Groups of coupled channels that are pruned together, and their slices of each tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from bmx.compression.prune_structured.channel_trace import FIXED, ChannelTrace, Span, Split


@dataclass(frozen=True)
class Slice:
    """Axis of a tensor along which a group of channels lies.

    Attributes:
        tensor: name of the parameter or buffer, the first where it has several.
        axis: along which indices are removed.
        makes: whether it is an output of the tensor's layer, rather than an input.
    """

    tensor: str
    axis: int
    makes: bool


@dataclass
class Group:
    """Channels of the same layers, some of which may be pruned.

    Attributes:
        name: path of the first layer that outputs them, with a number where it outputs several groups.
        classes: for each channel (or set of coupled channels) its indices in each slice.
        splits: those of the splits with an axis chosen by the caller that reshape these channels.
    """

    name: str
    classes: list[dict[Slice, Tensor]]
    splits: frozenset[int] = frozenset()

    @property
    def slices(self) -> list[Slice]:
        """The slices that the channels occupy."""
        return list(self.classes[0])


@dataclass
class Groups:
    """All groups that can be pruned, and the reason for every channel that cannot.

    Attributes:
        found: the groups, in the net's order.
        stays: for each tensor that outputs channels, by name, why all or some of them stay.
        queries: for each attention, the weight that projects to its queries and the rows (heads, width) of it. Their
            products with keys are divided by the root of the width.
    """

    found: list[Group]
    stays: dict[str, str]
    queries: list[tuple[str, Tensor]]


def find_groups(trace: ChannelTrace, axes: Mapping[int, int] | None = None) -> Groups:
    """Finds the channels of a traced net that may be pruned, in groups of channels of the same layers.

    Args:
        trace: of the net.
        axes: for splits, by number, which of their axes becomes shorter where the code leaves it open; by default the
            last one if that leaves any choice, else the first that does.
    """
    choice = _axes(trace, dict(axes or {}))
    roots = _roots(trace, choice)
    reasons = _reasons(trace, roots)
    where: dict[int, dict[Slice, list[int]]] = {}
    for span in trace.spans.values():
        name = trace.names[id(span.tensor)]
        if id(span.tensor) in trace.raw and span.axis is not None and span.tensor.ndim > 1:
            continue
        for axis, owner in _by_axis(span, roots, reasons):
            key = Slice(name, axis, span.makes)
            for index, root in enumerate(owner.tolist()):
                if root not in reasons:
                    where.setdefault(root, {}).setdefault(key, []).append(index)
    where = {root: slices for root, slices in where.items() if root not in reasons}
    chosen = {number: set(np.unique(roots[trace.splits[number].labels.numpy()]).tolist()) for number in axes or ()}
    groups: dict[tuple[Slice, ...], Group] = {}
    order = {name: number for number, name in enumerate(trace.names.values())}
    for root, slices in where.items():
        made = [each for each in slices if each.makes]
        if not made or not any(_is_layer(trace, each) for each in made):
            continue
        signature = tuple(sorted(slices, key=lambda each: (order[each.tensor], each.axis, each.makes)))
        first = next(each for each in signature if each.makes and _is_layer(trace, each))
        splits = frozenset(number for number, known in chosen.items() if root in known)
        group = groups.setdefault(signature, Group(first.tensor, [], splits))
        group.classes.append({each: torch.tensor(slices[each]) for each in signature})
    stays = _stays(trace, roots, reasons)
    found = _named(sorted((g for g in groups.values() if len(g.classes) > 1), key=lambda g: order[g.name]))
    return Groups(found, stays, _queries(trace))


def _named(groups: Sequence[Group]) -> list[Group]:
    """The groups, named by the paths of their layers."""
    count: dict[str, int] = {}
    named = []
    for group in groups:
        path = group.name.rpartition(".")[0]
        count[path] = count.get(path, 0) + 1
        named.append(replace(group, name=path if count[path] == 1 else f"{path} ({count[path]})"))
    return named


def _queries(trace: ChannelTrace) -> list[tuple[str, Tensor]]:
    found = []
    for labels in trace.scaled:
        least, most = int(labels.min()), int(labels.max())
        for span in trace.spans.values():
            is_layer = span.makes and span.axis == 0 and span.tensor.ndim > 1
            if is_layer and span.start <= least and most < span.start + span.count:
                found.append((trace.names[id(span.tensor)], labels - span.start))
    return found


def _is_layer(trace: ChannelTrace, each: Slice) -> bool:
    return any(
        span.tensor.ndim > 1 and span.axis is not None and trace.names[id(span.tensor)] == each.tensor
        for span in trace.spans.values()
    )


def _stays(trace: ChannelTrace, roots: np.ndarray, reasons: Mapping[int, str]) -> dict[str, str]:
    found = {}
    for span in trace.spans.values():
        if span.makes and span.axis is not None and span.tensor.ndim > 1:
            why = [reasons[root] for root in roots[span.labels().numpy()].tolist() if root in reasons]
            if why:
                found[trace.names[id(span.tensor)]] = why[0]
    return found


def _pairs(trace: ChannelTrace, axes: Sequence[int]) -> np.ndarray:
    pairs = [each.numpy() for each in trace.same]
    for split, axis in zip(trace.splits, axes, strict=True):
        moved = split.labels.movedim(axis + 1, 1).flatten(2)
        first = moved[..., :1].expand(moved.shape)
        pairs.append(torch.stack((moved, first), -1).reshape(-1, 2).unique(dim=0).numpy())
    return np.concatenate(pairs) if pairs else np.zeros((0, 2), dtype=np.int64)


def _roots(trace: ChannelTrace, axes: Sequence[int]) -> np.ndarray:
    """For each label the smallest of the labels coupled with it."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pairs, count = _pairs(trace, axes), trace.count
    graph = coo_matrix((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    least = np.full(component.max() + 1, count, dtype=np.int64)
    np.minimum.at(least, component, np.arange(count))
    return least[component]


def _axes(trace: ChannelTrace, given: dict[int, int]) -> list[int]:
    """The axis of each split that becomes shorter."""
    axes = [
        given.get(number, split.axis if split.axis is not None else split.labels.ndim - 2)
        for number, split in enumerate(trace.splits)
    ]
    roots = _roots(trace, axes)
    for number, split in enumerate(trace.splits):
        if split.axis is not None or number in given or not _collapsed(split, roots):
            continue
        for axis in range(split.labels.ndim - 2):
            trial = [*axes[:number], axis, *axes[number + 1 :]]
            tried = _roots(trace, trial)
            if not _collapsed(split, tried):
                axes, roots = trial, tried
                break
    return axes


def _collapsed(split: Split, roots: np.ndarray) -> bool:
    return len(np.unique(roots[split.labels.numpy()])) < 2


def _reasons(trace: ChannelTrace, roots: np.ndarray) -> dict[int, str]:
    """The reason for each class that stays, by its root."""
    reasons = {int(roots[FIXED]): "it meets what is no channel"}
    for labels, reason in trace.fixed:
        for root in np.unique(roots[labels.numpy()]).tolist():
            reasons[root] = reason if root not in reasons or root == roots[FIXED] else reasons[root]
    for span in trace.spans.values():
        if id(span.tensor) in trace.raw and span.axis is not None and span.tensor.ndim > 1:
            for root in np.unique(roots[span.labels().numpy()]).tolist():
                reasons.setdefault(root, "the net reads the weight of this layer itself")
    return reasons


def _by_axis(span: Span, roots: np.ndarray, reasons: dict[int, str]) -> list[tuple[int, np.ndarray]]:
    """The axis along which the channels of a tensor lie, with the class of each index; others stay."""
    owner = roots[span.labels().numpy()]
    if span.axis is not None:
        return [(span.axis, owner)]
    for axis in range(owner.ndim):
        moved = np.moveaxis(owner, axis, 0).reshape(owner.shape[axis], -1)
        if (moved == moved[:, :1]).all() and len(np.unique(moved[:, 0])) > 1:
            return [(axis, moved[:, 0])]
    for root in np.unique(owner).tolist():
        reasons.setdefault(root, "its numbers lie across a parameter")
    return []
