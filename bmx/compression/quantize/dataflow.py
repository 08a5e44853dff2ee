"""Traces which layers consume each layer's output, in one forward pass."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# Rounding commutes with these, except for ReLU, which a grid that starts at zero applies itself.
_RELU = {"relu", "relu_", "threshold"}
_TRANSPARENT = {
    *("max_pool1d", "max_pool2d", "_max_pool1d", "_max_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d"),
    *("flatten", "reshape", "view", "unsqueeze", "squeeze", "transpose", "permute", "contiguous", "unflatten"),
    *("dropout", "dropout_", "dropout1d", "dropout2d", "feature_dropout", "identity"),
}


@dataclass
class Flow:
    """Consumers of one layer's output.

    Attributes:
        calls: number of calls of the layer.
        layers: traced layers that consume it, directly or after a ReLU, max-pooling or reshape.
        elsewhere: whether something else consumes it too, such as an addition.
        returned: whether it is the model's own output.
        always_relu: whether every consumer reads it through a ReLU.
        norm: the batch normalisation that consumes it first.
        readers: number of reads of the output itself.
    """

    calls: int = 0
    layers: set[str] = field(default_factory=set)
    elsewhere: bool = False
    returned: bool = False
    always_relu: bool = True
    norm: str | None = None
    readers: int = 0


def flows(net: nn.Module, names: Collection[str], example: Tensor) -> dict[str, Flow]:
    """Traces the consumers of the outputs of the modules ``names`` in a forward pass on ``example``.

    Args:
        net: in eval mode; not modified.
        names: paths of the modules to trace.
        example: inputs as the net takes them.
    """
    watch = _Watch(net, names)
    try:
        with torch.no_grad(), watch:
            returned = net(example)
        watch.end(returned)
    finally:
        watch.remove()
    return watch.flows


@dataclass
class _Value:
    """A tensor derived from a traced layer's output, held so that its id is not reused."""

    tensor: Any
    source: str
    relu: bool
    first: bool


class _Watch(TorchFunctionMode):
    def __init__(self, net: nn.Module, names: Collection[str]) -> None:
        super().__init__()
        self.flows = {name: Flow() for name in names}
        self.values: dict[int, _Value] = {}
        self.inside = 0
        self.hooks: list[Any] = []
        for name, module in net.named_modules():
            if name in self.flows:
                self.hooks += [
                    module.register_forward_pre_hook(self._enter(name)),
                    module.register_forward_hook(self._leave(name)),
                ]
            elif isinstance(module, nn.modules.batchnorm._BatchNorm):
                self.hooks.append(module.register_forward_pre_hook(self._normalised(name)))

    def remove(self) -> None:
        for hook in self.hooks:
            hook.remove()

    def end(self, returned: Any) -> None:
        for value in self._found([returned]):
            self.flows[value.source].returned = True

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        returned = func(*args, **kwargs)
        if self.inside or not isinstance(returned, Tensor | list | tuple) or isinstance(returned, torch.Size):
            return returned
        name = getattr(func, "__name__", "")
        read = self._found([*args, *kwargs.values()])
        self.values.pop(id(returned), None)  # A tensor modified in place is no longer the layer's output.
        for value in read:
            self._read(value)
            if isinstance(returned, Tensor) and name in _RELU | _TRANSPARENT:
                relu = value.relu or name in _RELU
                self.values[id(returned)] = _Value(returned, value.source, relu, first=False)
            elif _holds_tensor(returned):
                self._ends(value)
        return returned

    def _ends(self, value: _Value) -> None:
        flow = self.flows[value.source]
        flow.elsewhere = True
        flow.always_relu &= value.relu

    def _read(self, value: _Value) -> None:
        if value.first:
            self.flows[value.source].readers += 1

    def _found(self, items: Any) -> list[_Value]:
        found = []
        for item in items:
            if isinstance(item, list | tuple):
                found += self._found(item)
            elif isinstance(item, dict):
                found += self._found(item.values())
            elif isinstance(item, Tensor) and id(item) in self.values:
                found.append(self.values[id(item)])
        return found

    def _enter(self, name: str) -> Any:
        def note(module: nn.Module, arguments: Any) -> None:
            for value in self._found(arguments):
                self._read(value)
                self.flows[value.source].layers.add(name)
                # The input grid of the consuming layer may reach below zero, so it does not replace a ReLU here.
                self.flows[value.source].always_relu &= value.relu
            self.inside += 1

        return note

    def _leave(self, name: str) -> Any:
        def note(module: nn.Module, arguments: Any, returned: Any) -> None:
            self.inside -= 1
            self.flows[name].calls += 1
            if isinstance(returned, Tensor):
                self.values[id(returned)] = _Value(returned, name, relu=False, first=True)

        return note

    def _normalised(self, name: str) -> Any:
        def note(module: nn.Module, arguments: Any) -> None:
            for value in self._found(arguments):
                if value.first:
                    self.flows[value.source].norm = name

        return note


def _holds_tensor(returned: Any) -> bool:
    return isinstance(returned, Tensor) or any(isinstance(item, Tensor) for item in returned)
