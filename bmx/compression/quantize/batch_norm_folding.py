"""Batch-norm folding: merges batch normalisations into the preceding convolutions, where outputs do not change."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from bmx.compression.module_replacement import replace
from bmx.compression.quantize.dataflow import flows

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
# Tolerance relative to the largest output.
_SAME = 1e-4


def foldable(net: nn.Module, names: Sequence[str], inputs: Tensor) -> dict[str, str]:
    """Finds the batch normalisations that can be folded, each with its convolution, by path.

    Such a normalisation is exactly torch's own, called once, and reads nothing but the output of one convolution that
    shares its weights with no other. One that nevertheless changes the outputs of the net when folded is left out.

    Args:
        net: in eval mode; not modified.
        names: paths of the convolutions, among other layers.
        inputs: samples (N, ...) as the net takes them.
    """
    modules = dict(net.named_modules())
    shared = Counter(id(p) for module in modules.values() for p in module.parameters(recurse=False))
    calls = _calls(net, [name for name, module in modules.items() if type(module) in _NORMS], inputs)
    found: dict[str, str] = {}
    for name, seen in flows(net, names, inputs).items():
        conv = modules[name]
        if type(conv) not in _CONVOLUTIONS or not seen.norm or seen.readers != 1 or seen.calls != 1:
            continue
        norm = modules[seen.norm]
        alone = all(shared[id(p)] == 1 for each in (conv, norm) for p in each.parameters(recurse=False))
        if calls.get(seen.norm) == 1 and alone and getattr(norm, "running_mean", None) is not None:
            found[seen.norm] = name
    if _same(net, found, inputs):
        return found
    sound: dict[str, str] = {}
    for norm_path, conv_path in found.items():
        if _same(net, {**sound, norm_path: conv_path}, inputs):
            sound[norm_path] = conv_path
    return sound


def fold(net: nn.Module, folded: Mapping[str, str]) -> None:
    """Folds batch normalisations into the convolutions before them, in place; each is replaced by an identity.

    Args:
        net: in eval mode.
        folded: the path of each batch normalisation, and that of its convolution.
    """
    for norm_path, conv_path in folded.items():
        norm, conv = net.get_submodule(norm_path), net.get_submodule(conv_path)
        if isinstance(norm, nn.Identity):
            continue
        assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
        assert norm.running_mean is not None and norm.running_var is not None
        assert isinstance(conv, nn.Conv1d | nn.Conv2d)
        weight, bias = conv.weight, conv.bias
        with torch.no_grad():
            gain = (norm.running_var + norm.eps).rsqrt()
            gain = gain if norm.weight is None else gain * norm.weight
            shift = -norm.running_mean if bias is None else bias - norm.running_mean
            shifted = shift * gain if norm.bias is None else shift * gain + norm.bias
            conv.weight = nn.Parameter(weight * gain.view(-1, *[1] * (weight.dim() - 1)))
            conv.bias = nn.Parameter(shifted)
        replace(net, norm, nn.Identity())


def _same(net: nn.Module, folded: Mapping[str, str], inputs: Tensor) -> bool:
    changed = copy.deepcopy(net)
    fold(changed, folded)
    with torch.no_grad():
        before, after = net(inputs), changed(inputs)
    return bool((before - after).abs().max() <= _SAME * before.abs().max().clamp(min=1e-12))


def _calls(net: nn.Module, names: Sequence[str], inputs: Tensor) -> Counter[str]:
    """Number of calls of each of the modules in one forward pass."""
    counted: Counter[str] = Counter()
    hooks = [
        net.get_submodule(name).register_forward_hook(lambda *_, name=name: counted.update([name])) for name in names
    ]
    try:
        with torch.no_grad():
            net(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return counted
