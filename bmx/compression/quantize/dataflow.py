"""Where the outputs of a model's layers go, watched in one forward pass rather than read off its code."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# A rounding behind these is the same as one before them, but for a ReLU, which a grid that starts at zero is itself.
_RELU = {"relu", "relu_", "threshold"}
_TRANSPARENT = {
    *("max_pool1d", "max_pool2d", "_max_pool1d", "_max_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d"),
    *("flatten", "reshape", "view", "unsqueeze", "squeeze", "transpose", "permute", "contiguous", "unflatten"),
    *("dropout", "dropout_", "dropout1d", "dropout2d", "feature_dropout", "identity"),
}


@dataclass
class Flow:
    """What became of one layer's outputs.

    Attributes:
        calls: how often the layer was called.
        layers: watched layers that take it, perhaps behind a ReLU, a max-pooling or a change of shape.
        elsewhere: something else takes it too, such as an addition.
        returned: it is the model's own output.
        always_relu: nothing sees it but through a ReLU.
        norm: the batch normalisation that takes it first.
        readers: how often the output itself was read.
    """

    calls: int = 0
    layers: set[str] = field(default_factory=set)
    elsewhere: bool = False
    returned: bool = False
    always_relu: bool = True
    norm: str | None = None
    readers: int = 0


def flows(net: nn.Module, names: Collection[str], example: Tensor) -> dict[str, Flow]:
    """Where the outputs of the modules ``names`` go when ``net`` runs on ``example``.

    Args:
        net: in eval mode; stays as it is.
        names: paths of the modules to watch.
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
    """A tensor that came from a watched layer, kept so that its identity stays its own."""

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
        self.values.pop(id(returned), None)  # What was changed in place is no longer what the layer gave.
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
                # The grid of the layer that takes it may reach below zero, so this says nothing of its own grid.
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
