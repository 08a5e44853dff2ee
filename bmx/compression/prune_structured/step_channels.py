"""Recipe step of structured pruning: the changed tensor shapes and module fields, and rebuilding from them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from bmx.compression.recipe import Step


def channels_step(before: nn.Module, after: nn.Module) -> Step:
    """The step from the architecture of ``before`` to that of ``after``: the same modules, some with fewer channels."""
    modules = dict(before.named_modules())
    fields = {name: changed for name, module in after.named_modules() if (changed := _changed(modules[name], module))}
    shapes = {name: list(tensor.shape) for name, tensor in _tensors(after).items()}
    old = {name: list(tensor.shape) for name, tensor in _tensors(before).items()}
    return {
        "kind": "channels",
        "modules": fields,
        "tensors": {name: shape for name, shape in shapes.items() if old[name] != shape},
    }


def rebuild(net: nn.Module, step: Step) -> nn.Module:
    """Applies a step of :func:`channels_step` to ``net``; tensors that change are zero afterwards."""
    for path, fields in step["modules"].items():
        module = net.get_submodule(path)
        for name, value in fields.items():
            is_tuple = isinstance(getattr(module, name), tuple)
            setattr(module, name, tuple(value) if is_tuple else value)
    tensors = _tensors(net)
    made: dict[int, Tensor] = {}
    for name, shape in step["tensors"].items():
        old = tensors[name]
        # A tensor that two modules share is created once.
        if id(old) not in made:
            new = old.detach().new_zeros(shape)
            made[id(old)] = nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new
        owner, _, own = name.rpartition(".")
        setattr(net.get_submodule(owner), own, made[id(old)])
    return net


def _tensors(net: nn.Module) -> dict[str, Tensor]:
    return {**dict(net.named_parameters(remove_duplicate=False)), **dict(net.named_buffers(remove_duplicate=False))}


def _changed(before: nn.Module, after: nn.Module) -> dict[str, Any]:
    """The changed fields of a module that are integers or tuples of integers."""
    changed = {}
    for name, value in vars(after).items():
        plain = isinstance(value, int) or (isinstance(value, tuple) and all(isinstance(v, int) for v in value))
        if plain and not name.startswith("_") and vars(before).get(name) != value:
            changed[name] = list(value) if isinstance(value, tuple) else value
    return changed
