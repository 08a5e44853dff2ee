"""What a compressed net has to compute, from the original and the numbers that were stored, in plain torch.

Nothing of bmx's own layers or rewriting is used: only the original's code, the stored tensors by name, and arithmetic.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bmx.compression.quantize.layers import QuantizedConv, QuantizedLayer, StaticGrid
from bmx.compression.quantize.recurrent import QuantizedRecurrent
from bmx.compression.rebuild import rebuild


def masked(net: nn.Module, pruned: nn.Module) -> nn.Module:
    """The original with its smallest weights at zero, as many as are zero in ``pruned``."""
    net = copy.deepcopy(net)
    for (name, old), (other, new) in zip(net.named_parameters(), pruned.named_parameters(), strict=True):
        assert name == other
        gone = new == 0
        assert torch.equal(old[~gone], new[~gone]), f"{name}: what was not pruned has changed"
        if old.ndim > 1 and gone.any():
            assert old[gone].abs().max() <= old[~gone].abs().min(), f"{name}: not the smallest were taken"
        with torch.no_grad():
            old[gone] = 0.0
    assert any((new == 0).any() for new in pruned.parameters()), "nothing was taken"
    return net


def _places(whole: Tensor, part: Tensor) -> tuple[Tensor, ...]:
    """Where a tensor's numbers stand in a larger one: an index for each axis, found by values alone."""
    values, order = whole.flatten().sort()
    sought = part.flatten().contiguous()
    after = torch.searchsorted(values, sought).clamp(max=len(values) - 1)
    before = (after - 1).clamp(min=0)
    at = torch.where((values[after] - sought).abs() <= (values[before] - sought).abs(), after, before)
    assert torch.allclose(values[at], sought, rtol=1e-6), "numbers that the original has not"
    seen = [where.view(part.shape) for where in torch.unravel_index(order[at], whole.shape)]
    # A number that occurs twice may point elsewhere: where most of a row or column stand is right.
    if part.ndim == 1:
        return (seen[0],)
    places = []
    for axis, where in enumerate(seen):
        most = where.movedim(axis, 0).flatten(1).mode(1).values
        places.append(most.view([-1 if other == axis else 1 for other in range(part.ndim)]))
    if part.ndim > 2 and not torch.allclose(
        whole[tuple(places)], part, rtol=1e-6
    ):  # of grouped inputs each group keeps its own
        places[1] = seen[1].flatten(2).mode(2).values.view(*part.shape[:2], *[1] * (part.ndim - 2))
    assert torch.allclose(whole[tuple(places)], part, rtol=1e-6), "not rows and columns of the original"
    return tuple(places)


def scattered(net: nn.Module, narrow: nn.Module, separated: list[dict]) -> nn.Module:
    """The original with everything at zero that ``narrow`` lacks, found by the values that it has.

    Args:
        net: the original.
        narrow: with fewer channels.
        separated: steps that only write attention another way.
    """
    net = rebuild(copy.deepcopy(net), separated)
    small, state = narrow.state_dict(), net.state_dict()
    whole = dict(state)
    outputs: dict[str, tuple[Tensor, ...]] = {}
    for name, old in sorted(state.items(), key=lambda item: -item[1].ndim):  # matrices say which outputs are left
        new = small[name]
        if old.shape == new.shape:
            continue
        owner, _, own = name.rpartition(".")
        if owner.endswith(".qkv"):  # narrower heads divide by another root, which their queries make up for
            new, third = new.clone(), len(new) // 3
            new[:third] *= (len(old) / len(new)) ** 0.5
        if old.ndim == 1 and owner not in outputs:  # what a normalisation has of each channel names it together
            beside = [other for other in state if other.rpartition(".")[0] == owner and state[other].shape == old.shape]
            seen = [_places(whole[other], small[other])[0] for other in beside]
            outputs[owner] = (torch.stack(seen).mode(0).values,)
        places = outputs[owner] if old.ndim == 1 else _places(old, new)
        spread = torch.ones_like(old) if own == "running_var" else torch.zeros_like(old)
        spread[places] = new
        state[name] = spread
        if own == "weight" and old.ndim > 1 and not isinstance(net.get_submodule(owner), _TRANSPOSED):
            outputs[owner] = (places[0].flatten(),)
    net.load_state_dict(state)
    return net.eval()


_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)


def multiplied(net: nn.Module, factored: nn.Module) -> nn.Module:
    """The original with the products of the stored factors for weights."""
    net = copy.deepcopy(net)
    own, stored = net.state_dict(), factored.state_dict()
    for name in [name for name in stored if name.endswith(".first.weight")]:
        path = name.removesuffix(".first.weight")
        first, second = stored[name].double(), stored[f"{path}.second.weight"].double()
        product = second.flatten(1) @ first.flatten(1)
        own[f"{path}.weight"] = product.view(own[f"{path}.weight"].shape).to(first.dtype)
        if f"{path}.second.bias" in stored:
            own[f"{path}.bias"] = stored[f"{path}.second.bias"]
    for name in own.keys() & stored.keys():
        assert torch.equal(own[name], stored[name]), f"{name} has changed"
    net.load_state_dict(own)
    return net


def valued(net: nn.Module, shared: nn.Module) -> nn.Module:
    """The original with few values in each weight, each the mean of those that are next to one another."""
    net = copy.deepcopy(net)
    for (name, old), (other, new) in zip(net.named_parameters(), shared.named_parameters(), strict=True):
        assert name == other
        values = new[new != 0].unique()
        if not torch.equal(old, new):
            assert len(values) <= 256, f"{name} has {len(values)} values"
            groups = [old[new == value] for value in values]
            means = torch.stack([group.double().mean() for group in groups])
            assert torch.allclose(means, values.double(), rtol=5e-4, atol=1e-6), f"{name}: not the mean of each group"
            pairs = itertools.pairwise(groups)
            assert all(low.max() < high.min() for low, high in pairs), f"{name}: groups that overlap"
        with torch.no_grad():
            old.copy_(new)
    return net


def dequantised(net: nn.Module, quantized: nn.Module) -> nn.Module:
    """The original with the stored whole numbers times their steps for weights, and inputs rounded by formula."""
    net = copy.deepcopy(net)
    known = {path for path, _ in net.named_modules(remove_duplicate=False)}
    state = quantized.state_dict()
    for name, codes in state.items():  # what layers of other kinds hold
        if name.endswith(".original"):
            path, _, own = name.removesuffix(".original").replace("parametrizations.", "").rpartition(".")
            scale = state[f"{name.removesuffix('original')}0.scale"].double()
            with torch.no_grad():
                getattr(net.get_submodule(path), own).copy_((codes.reshape(len(scale), -1) * scale).view(codes.shape))
    for path, module in quantized.named_modules(remove_duplicate=False):
        if path not in known:
            continue
        if isinstance(module, QuantizedRecurrent):
            layer = net.get_submodule(path)
            state = module.state_dict()
            with torch.no_grad():
                for name, parameter in layer.named_parameters():
                    stored = f"matrices.{name}.codes"
                    if stored in state:
                        whole = state[stored].float() * state[f"matrices.{name}.scale"]
                        parameter.copy_(whole.view(parameter.shape))
        elif isinstance(module, QuantizedLayer):
            _install(net.get_submodule(path), module)
        elif isinstance(module, nn.Identity) and isinstance(net.get_submodule(path), nn.modules.batchnorm._NormBase):
            net.get_submodule(path).forward = lambda x: x  # it is in the weights before it
    return net


def _install(layer: nn.Module, module: QuantizedLayer) -> None:
    state = {name: tensor.double() for name, tensor in module.state_dict().items()}
    codes, scale = state["weights.codes"], state["weights.scale"]
    if module.weights.bits == 4:
        bytes_ = module.weights.codes
        codes = torch.stack((bytes_ & 15, bytes_ >> 4), -1).flatten(1).to(torch.float64) - 8
        codes = codes.view(len(codes), scale.shape[1], -1)
        weight = (codes * scale[..., None]).flatten(1)[:, : layer.weight[0].numel()].view(layer.weight.shape)
    else:
        weight = codes * scale.view(-1, *[1] * (codes.ndim - 1))
    bias = state.get("bias")
    static = isinstance(module.input, StaticGrid)
    if static and bias is not None:
        step = state["input.scale"] * scale[:, 0]
        bias = (bias / step).round() * step
    with torch.no_grad():
        layer.weight = nn.Parameter(weight.float())
        if bias is not None:
            layer.bias = nn.Parameter(bias.float())
    inputs = _rounding(state, "input") if static else (lambda x: x)
    outputs = _rounding(state, "output") if isinstance(getattr(module, "output", None), StaticGrid) else (lambda x: x)
    if isinstance(module, QuantizedConv):
        convolution = F.conv1d if weight.ndim == 3 else F.conv2d

        def forward(x: Tensor) -> Tensor:
            y = convolution(inputs(x).double(), weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)
            return outputs(y.float())

        layer.forward = forward
    elif isinstance(layer, nn.Linear):
        layer.forward = lambda x: F.linear(inputs(x).double(), weight, bias).float()


def _rounding(state: dict[str, Tensor], which: str) -> Callable[[Tensor], Tensor]:
    scale, zero = state[f"{which}.scale"].float(), state[f"{which}.zero"].float()
    return lambda x: (((x / scale).round() + zero).clamp(0, 255) - zero) * scale
