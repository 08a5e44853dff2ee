"""Preserves earlier compression stages: detects pruned and shared weights, rejects stages that would undo them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bmx.compression.method import Tuning
from bmx.compression.prunable import named_by
from bmx.errors import UsageError

ZEROS, VALUES = "zeros", "values"
"""Effects of an earlier stage: pruned weights, and weights that share a few values."""

# A trained weight is exactly zero by chance only once in many millions; a tensor with this share has been pruned.
_PRUNED = 0.01
_FEWEST = 32


def made_by(net: nn.Module, what: str, skip: Sequence[str] = ()) -> list[str]:
    """Names of the weights that an earlier stage pruned (``zeros``) or gave shared values (``values``)."""
    found = {ZEROS: is_pruned, VALUES: _is_shared}[what]
    return [name for name, p in _weights(net) if not any(named_by(_layer(name), s) for s in skip) and found(p)]


def is_pruned(weight: Tensor) -> bool:
    """Whether more weights are exactly zero than could be by chance."""
    return bool((weight.detach() == 0).float().mean() >= _PRUNED)


def _is_shared(weight: Tensor) -> bool:
    """Whether at most half of the nonzero weights are distinct, which those of a trained weight never are."""
    numbers = weight.detach()[weight.detach() != 0]
    return len(numbers) >= _FEWEST and 2 * len(numbers.unique()) <= len(numbers)


def check(net: nn.Module, method: Any, epochs: int) -> None:
    """Rejects a method that would undo an earlier compression of ``net``.

    Args:
        net: the model that is to be compressed.
        method: its ``loses`` names the effects of earlier stages that it undoes, ``tuning_loses`` those that its
            fine-tuning undoes.
        epochs: of fine-tuning.

    Raises:
        UsageError: it would; the message names what would be lost.
    """
    for what in lost_by(method, epochs):
        weights = made_by(net, what, getattr(method, "skip", ()))
        if weights:
            others = f" and {len(weights) - 1} more" if len(weights) > 1 else ""
            raise _undone(what, method, epochs, f"{_layer(weights[0])}{others}")


def check_order(stages: Sequence[tuple[str, Any, int]]) -> None:
    """Rejects a sequence of stages in which a later one would undo an earlier one, before any has run.

    Args:
        stages: the config choice, the method and the epochs of fine-tuning of each.

    Raises:
        UsageError: the message names the stage, and an order in which none does.
    """
    where = f"stages=[{','.join(word for word, _, _ in stages)}]"
    clash = _clash(stages)
    if clash is None:
        return
    earlier, later, what = clash
    ordered = sorted(stages, key=lambda stage: int(getattr(stage[1], "place", 0)))
    fix = f"stages=[{','.join(word for word, _, _ in ordered)}]"
    if _clash(ordered) is not None:
        fix = f"leave out {later} or {earlier}"
    lost = {ZEROS: "the zeros", VALUES: "the shared values"}[what]
    raise UsageError(f"{later} would undo {lost} that {earlier} makes before it", where, fix)


def _clash(stages: Sequence[tuple[str, Any, int]]) -> tuple[str, str, str] | None:
    for at, (word, method, epochs) in enumerate(stages):
        for earlier, before, _ in stages[:at]:
            for what in lost_by(method, epochs):
                if what in getattr(before, "makes", ()):
                    return earlier, word, what
    return None


def lost_by(method: Any, epochs: int) -> list[str]:
    """Effects of earlier stages that a method undoes."""
    return [*getattr(method, "loses", ()), *(getattr(method, "tuning_loses", ()) if epochs else ())]


def _undone(what: str, method: Any, epochs: int, where: str) -> UsageError:
    name = type(method).__name__
    if what == ZEROS:
        fix = "factor before you prune, or name these layers in compression.skip"
        return UsageError(f"{name} makes dense layers, which would lose the zeros of {where}", "compression", fix)
    if what in getattr(method, "loses", ()):
        fix = "share values last: compress the run from before"
        return UsageError(f"{name} would give up the values that weights share in {where}", "compression", fix)
    fix = "use epochs=0, or compression=deep, which tunes shared values together"
    what = f"fine-tuning after {name} would train the values apart that weights share in {where}"
    return UsageError(what, f"epochs={epochs}", fix)


def _weights(net: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in net.named_parameters():
        if parameter.ndim >= 2 and parameter.is_floating_point():
            yield name, parameter


def _layer(weight: str) -> str:
    return weight.rpartition(".")[0]


class Holding:
    """Resets the weights that were zero at the start to zero after each step.

    Args:
        net: the net whose weights of two or more dimensions are held.
    """

    settled = True

    def __init__(self, net: nn.Module) -> None:
        self.parameters = dict(net.named_parameters())
        pruned = [(n, p) for n, p in self.parameters.items() if p.ndim >= 2 and p.requires_grad and is_pruned(p)]
        self.zeros = {name: parameter.detach() == 0 for name, parameter in pruned}

    def __bool__(self) -> bool:
        """Whether there are any zeros to hold."""
        return bool(self.zeros)

    @torch.no_grad()
    def after_step(self, step: int, steps: int) -> None:
        """Called after each optimiser step."""
        for name, zeros in self.zeros.items():
            self.parameters[name].masked_fill_(zeros.to(self.parameters[name].device), 0.0)

    def state_dict(self) -> dict[str, Any]:
        """The zeros, as masks."""
        return {name: zeros.cpu() for name, zeros in self.zeros.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the zeros of an interrupted run."""
        self.zeros = dict(state)


class Together:
    """Applies two tunings after each step of fine-tuning: the method's, then that of earlier stages.

    Args:
        method: tuning of the method.
        before: tuning that preserves earlier stages.
    """

    def __init__(self, method: Tuning, before: Tuning) -> None:
        self.method, self.before = method, before

    @property
    def settled(self) -> bool:
        """Whether the net has its final form."""
        return self.method.settled and self.before.settled

    def after_step(self, step: int, steps: int) -> None:
        """Called after each optimiser step."""
        self.method.after_step(step, steps)
        self.before.after_step(step, steps)

    def state_dict(self) -> dict[str, Any]:
        """State of both."""
        return {"method": self.method.state_dict(), "before": self.before.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state of both; a state in the older format of one tuning is the method's."""
        if set(state) == {"method", "before"}:
            self.method.load_state_dict(state["method"])
            self.before.load_state_dict(state["before"])
        else:
            self.method.load_state_dict(state)


def holding(net: nn.Module, tuning: Tuning | None) -> Tuning | None:
    """The tuning for fine-tuning ``net``: its method's, and one that preserves earlier pruning."""
    before = Holding(net)
    if not before:
        return tuning
    return before if tuning is None else Together(tuning, before)
