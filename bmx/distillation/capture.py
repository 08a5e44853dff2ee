"""Feature taps: captures outputs or inputs of layers in a forward pass, by path."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bmx.errors import UsageError, did_you_mean, nearest

_INPUT = ":input"


class Capture:
    """Captures the latest output (or input) of some layers of a net by forward hooks.

    Args:
        net: gets a hook on each layer; its state dict does not change.
        paths: as in ``net.named_modules()``, such as ``features.1``; ``head:input`` is the layer's input.
        where: the config key of the paths, for messages.

    Raises:
        UsageError: a path that the net does not have; the message names the nearest.
    """

    def __init__(self, net: nn.Module, paths: Sequence[str], where: str = "") -> None:
        modules = dict(net.named_modules())
        self.paths = tuple(paths)
        self._kept: dict[str, Any] = {}
        self._hooks = []
        for path in self.paths:
            name = path.removesuffix(_INPUT)
            if name not in modules or not name:
                raise UsageError(f"{type(net).__name__} has no layer '{name}'", where, _nearest(name, modules))
            layer = modules[name]
            if path.endswith(_INPUT):
                self._hooks.append(layer.register_forward_pre_hook(partial(self._keep_input, path)))
            else:
                self._hooks.append(layer.register_forward_hook(partial(self._keep_output, path)))

    def _keep_output(self, path: str, layer: nn.Module, inputs: Any, output: Any) -> None:
        self._kept[path] = output

    def _keep_input(self, path: str, layer: nn.Module, inputs: Any) -> None:
        self._kept[path] = inputs[0]

    def take(self) -> list[Tensor]:
        """Returns the features captured in the last forward pass, in the order of the paths, and clears them.

        Raises:
            UsageError: a layer that was not called, or does not return one tensor with a batch and channels.
        """
        found = []
        for path in self.paths:
            kept = self._kept.get(path)
            if not isinstance(kept, Tensor) or not 2 <= kept.ndim <= 4:
                what = "is not used" if kept is None else "does not give one tensor of 2 to 4 dimensions"
                raise UsageError(f"the layer '{path}' {what}", path, "name another layer")
            found.append(kept)
        self._kept.clear()
        return found

    def close(self) -> None:
        """Removes the hooks."""
        for hook in self._hooks:
            hook.remove()


def _nearest(name: str, modules: dict[str, nn.Module]) -> str:
    known = [path for path in modules if path]
    if nearest(name, known):
        return did_you_mean(name, known)
    same_last = [path for path in known if path.rpartition(".")[2] == name.rpartition(".")[2]]
    return did_you_mean(name, same_last or [path for path in known if path.count(".") < 2])


def choose_layer(net: nn.Module, example: Tensor, kind: str) -> str:
    """Chooses the default layer of a net for a kind of feature.

    Args:
        net: the net; it is called once, in eval mode.
        example: a batch as the net takes it.
        kind: ``embedding``, the input of the last linear layer; or ``map``, the last output with positions: (N, C, H,
            W) of images, otherwise (N, T, C) of tokens.

    Raises:
        UsageError: the net has no such layer.
    """
    seen: list[tuple[str, nn.Module, int]] = []
    hooks = []
    for name, module in net.named_modules():
        if name:

            def note(layer: nn.Module, inputs: Any, output: Any, name: str = name) -> None:
                seen.append((name, layer, output.ndim if isinstance(output, Tensor) else 0))

            hooks.append(module.register_forward_hook(note))
    training = net.training
    try:
        with torch.no_grad():
            net.eval()(example)
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    if kind == "embedding":
        linear = [name for name, layer, _ in seen if isinstance(layer, nn.Linear)]
        if linear:
            return linear[-1] + _INPUT
    for dimensions in (4, 3) if kind == "map" else ():
        found = [name for name, _, ndim in seen if ndim == dimensions]
        if found:
            return found[-1]
    what = {"embedding": "a linear layer", "map": "a layer whose output has positions"}[kind]
    raise UsageError(
        f"{type(net).__name__} has no {what.removeprefix('a ')} to compare",
        "distillation",
        "choose distillation=kd_std, or name layers with distillation.student_layers and distillation.teacher_layers",
    )
