"""Replaces a module of a net, wherever it occurs."""

from __future__ import annotations

from torch import nn


def replace(net: nn.Module, old: nn.Module, new: nn.Module) -> nn.Module:
    """Replaces ``old`` by ``new`` in ``net``, in place; returns the net, or ``new`` where ``net`` is ``old``."""
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
    """Disables torch's fused transformer layer, which would read the weights directly and bypass the layers."""
    for end in range(len(path.split(".")) + 1):
        module = net.get_submodule(".".join(path.split(".")[:end]))
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = 0
        elif isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False
