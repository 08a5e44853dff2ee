"""Puts one module in the place of another, wherever a net holds it."""

from __future__ import annotations

from torch import nn


def replace(net: nn.Module, old: nn.Module, new: nn.Module) -> nn.Module:
    """Puts ``new`` wherever ``net`` has ``old``; returns the net, changed in place, or ``new`` where that is all."""
    new.train(old.training)
    if old is net:
        return new
    for name, parent in list(net.named_modules(remove_duplicate=False)):
        for child_name, child in parent._modules.items():
            if child is old:
                parent._modules[child_name] = new
                _keep_off_fused_kernels(net, name)
    return net


def _keep_off_fused_kernels(net: nn.Module, path: str) -> None:
    """torch's fused transformer layer would compute with the weights alone, past the layer that holds them."""
    for end in range(len(path.split(".")) + 1):
        module = net.get_submodule(".".join(path.split(".")[:end]))
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = 0
        elif isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False
