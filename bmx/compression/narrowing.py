"""Removes channels and attention heads from a net, with everything that depends on them (Torch-Pruning)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bmx.compression.prunable import named_by
from bmx.errors import UsageError
from bmx.extras import need
from bmx.models.attention import Attention

# From a group of layers whose channels belong together to a score for each of these channels.
Importance = Callable[[Any], Tensor]

_LAYERS = (nn.Linear, nn.modules.conv._ConvNd)


@dataclass(frozen=True)
class Kept:
    """How many channels (of each head or part) or whole heads a group has left.

    Attributes:
        left: so many.
        total: of so many.
        step: by which it can change.
    """

    left: int
    total: int
    step: int


def need_torch_pruning() -> None:
    """Makes sure that Torch-Pruning is installed, without importing it.

    Raises:
        UsageError: it is not.
    """
    need("prune", "compression=prune_structured", "prune_structured")


def even(group: Any) -> Tensor:
    """An importance that looks at no numbers: for finding out how large a net becomes."""
    return torch.arange(len(group[0].idxs), dtype=torch.float32)


def need_plain_layers(net: nn.Module) -> None:
    """Makes sure that there are layers to narrow, and heads that can be.

    Raises:
        UsageError: no linear layer or convolution, or the projections of an attention layer are factored or quantised.
    """
    if not any(isinstance(module, _LAYERS) for module in net.modules()):
        fix = "choose a model with linear or convolution layers"
        raise UsageError("no layer of this net has channels that can go", "compression=prune_structured", fix)
    for name, module in net.named_modules():
        if isinstance(module, Attention) and not all(isinstance(part, nn.Linear) for part in (module.qkv, module.out)):
            what = f"the projections of the attention layer {name} are factored or quantised: its heads stay as wide"
            fix = "take channels out first: stages=[prune_structured,low_rank,quantize]"
            raise UsageError(what, "compression=prune_structured", fix)


def narrow(
    net: nn.Module,
    example: Tensor,
    ratio: float,
    importance: Importance,
    skip: Sequence[str] = (),
    round_to: int = 8,
    fewer_heads: bool = False,
    raised: Mapping[str, int] | None = None,
) -> dict[str, Kept]:
    """Takes the channels of least importance out of every layer of ``net``, in place.

    Layers whose channels are added or joined are pruned together, found from a trace of the net (Fang et al. 2023,
    "DepGraph: Towards any structural pruning"). The last layer keeps its outputs.

    Args:
        net: in eval mode; may be on the meta device, then with ``even``.
        example: a batch of one, on the net's device.
        ratio: fraction of each layer's channels that goes.
        importance: scores the channels of a group.
        skip: names of layers that keep their channels, and with them those that they are tied to.
        round_to: the channels that are left are a multiple of it; a layer with fewer keeps them all.
        fewer_heads: take whole heads out of attention layers; else every head becomes narrower.
        raised: by group, how many channels it keeps beyond what the ratio leaves.

    Returns:
        What each group kept, by the name of its first layer.

    Raises:
        UsageError: the net cannot be traced, or what is left of it does not run.
    """
    skipped = [module for name, module in net.named_modules() if any(named_by(name, each) for each in skip)]
    attentions = {module.qkv: module for module in net.modules() if isinstance(module, Attention)}
    widths = {qkv: qkv.out_features // (3 * attention.heads) for qkv, attention in attentions.items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of graphs too deep to infer every shape: what comes out is run below
            outputs = net(example).shape
            kept_by: dict[str, Kept] = {}
            for group in _chosen(
                net, example, ratio, importance, skipped, attentions, round_to, fewer_heads, raised or {}, kept_by
            ):
                group.prune()
            for qkv, attention in attentions.items():
                if fewer_heads:
                    attention.heads = qkv.out_features // (3 * widths[qkv])
                else:
                    _keep_temperature(attention, widths[qkv])
            with torch.no_grad():
                after = net(example).shape
    except (RuntimeError, ValueError, LookupError, AttributeError, AssertionError, TypeError, ArithmeticError) as error:
        if example.is_meta and isinstance(error, NotImplementedError):
            raise  # shapes alone are not enough for this net
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        what = f"Torch-Pruning cannot take channels out of this net: {first[:200]}"
        raise UsageError(what, "compression=prune_structured", "use compression=prune or low_rank") from error
    if after != outputs:
        what = f"without these channels the net gives {tuple(after)} and not {tuple(outputs)}"
        raise UsageError(what, "compression=prune_structured", "name its last layer in compression.skip")
    return kept_by


def _chosen(
    net: nn.Module,
    example: Tensor,
    ratio: float,
    importance: Importance,
    skipped: Sequence[nn.Module],
    attentions: Mapping[nn.Linear, Attention],
    round_to: int,
    fewer_heads: bool,
    raised: Mapping[str, int],
    kept_by: dict[str, Kept],
) -> Iterator[Any]:
    """The groups of channels that go, each with everything that depends on it; all are ranked before one goes."""
    from torch_pruning import DependencyGraph

    graph = DependencyGraph().build_dependency(net, example, unwrapped_parameters=_unwrapped(net))
    keep_outputs = [*skipped, *_last_layer(net, example), *_recurrent(net)]
    names = {module: name for name, module in net.named_modules()}
    chosen = []
    for found in list(graph.get_all_groups(ignored_layers=keep_outputs, root_module_types=list(_LAYERS))):
        group, heads = found, 0
        pruned = [dep.target.module for dep, _ in found if graph.is_out_channel_pruning_fn(dep.handler)]
        mine = [attentions[module] for module in pruned if module in attentions]
        if mine:
            # Seen from the layer behind it, an index is a feature of one head, and q, k and v follow.
            out, heads = mine[0].out, mine[0].heads
            behind = graph.get_pruner_of_module(out).prune_in_channels
            group = graph.get_pruning_group(out, behind, list(range(out.in_features)))
        score = importance(group)
        if score is None:
            continue
        score, name = score.cpu(), names[found[0].dep.target.module]
        whole_heads = bool(heads) and fewer_heads
        # Rows go in the same places: those of a head if heads stay, and of each part of a grouped convolution.
        rows = heads or _parts(graph, group)
        score = score.view(rows, -1)
        total, step = (rows, 1) if whole_heads else (score.shape[1], round_to)
        left = min(total, kept(total, ratio, step) + raised.get(name, 0))
        kept_by[name] = Kept(left, total, step)
        lowest = score.mean(1 if whole_heads else 0).argsort(stable=True)[: total - left]
        if whole_heads:
            gone = (lowest[:, None] * score.shape[1] + torch.arange(score.shape[1])).flatten()
        else:
            gone = (lowest + score.shape[1] * torch.arange(rows)[:, None]).flatten()
        if len(gone):
            root, _ = group[0]
            chosen.append((root.target.module, root.handler, sorted(gone.tolist())))
    # One at a time: where channels are joined, indices move with what went before.
    for each in chosen:
        yield graph.get_pruning_group(*each)


def kept(channels: int, ratio: float, round_to: int) -> int:
    """How many of ``channels`` are left: a multiple of ``round_to``, at least one of it, or all where there are fewer.

    What is left is rounded down, so that a larger ratio never leaves more.
    """
    left = channels - int(ratio * channels + 1e-9)
    return channels if left == channels else max(left - left % round_to, min(round_to, channels))


def ratios(net: nn.Module, round_to: int, fewer_heads: bool) -> list[float]:
    """Every ratio at which a layer of ``net`` loses more channels than just below it, ascending, from 0 on."""
    sizes = {len(module.weight) for module in net.modules() if isinstance(module, _LAYERS)}
    attentions = [module for module in net.modules() if isinstance(module, Attention)]
    sizes |= {attention.out.in_features // attention.heads for attention in attentions}
    steps = [(size, k) for size in sizes for k in range(1, size)]
    found = {k / size for size, k in steps if kept(size, k / size, round_to) < kept(size, (k - 1) / size, round_to)}
    if fewer_heads:
        found |= {k / attention.heads for attention in attentions for k in range(1, attention.heads)}
    return [0.0, *sorted(found)]


def _parts(graph: Any, group: Any) -> int:
    """In how many equal parts channels have to go: those of a grouped convolution or normalisation."""
    most = 1
    for dep, _ in group:
        module, pruner = dep.target.module, graph.get_pruner_of_module(dep.target.module)
        depthwise = isinstance(module, nn.modules.conv._ConvNd) and module.groups == module.out_channels
        if pruner is None or depthwise:
            continue
        of_outputs = graph.is_out_channel_pruning_fn(dep.handler)
        count = pruner.get_out_channel_groups(module) if of_outputs else pruner.get_in_channel_groups(module)
        most = max(most, int(count))
    return most


def _keep_temperature(attention: Attention, width: int) -> None:
    """Scales the queries of narrower heads, whose products would be divided by a smaller root than before."""
    queries = attention.qkv.out_features // 3
    factor = math.sqrt(queries / attention.heads / width)
    with torch.no_grad():
        attention.qkv.weight[:queries] *= factor
        if attention.qkv.bias is not None:
            attention.qkv.bias[:queries] *= factor


def why_left_alone(net: nn.Module, example: Tensor) -> dict[nn.Module, str]:
    """The layers whose outputs no ratio touches, and the reason."""
    reasons = dict.fromkeys(_last_layer(net, example), "its outputs are those of the net")
    return reasons | dict.fromkeys(_recurrent(net), "recurrent layers keep their width")


def _last_layer(net: nn.Module, example: Tensor) -> list[nn.Module]:
    """The linear layer or convolution that is called last."""
    called: list[nn.Module] = []
    hooks = [
        module.register_forward_hook(lambda module, inputs, output: called.append(module))
        for module in net.modules()
        if isinstance(module, _LAYERS)
    ]
    try:
        with torch.no_grad():
            net(example)
    finally:
        for hook in hooks:
            hook.remove()
    return called[-1:]


def _recurrent(net: nn.Module) -> list[nn.Module]:
    return [module for module in net.modules() if isinstance(module, nn.RNNBase)]


def _unwrapped(net: nn.Module) -> list[tuple[nn.Parameter, int]]:
    """Parameters that belong to no layer, such as position embeddings, each with the dimension of its channels."""
    found = []
    for module in net.modules():
        # What torch itself defines, Torch-Pruning knows.
        if type(module).__module__.startswith("torch.nn."):
            continue
        for parameter in module.parameters(recurse=False):
            wide = [dim for dim, size in enumerate(parameter.shape) if size > 1]
            if wide:
                found.append((parameter, wide[-1]))
    return found
