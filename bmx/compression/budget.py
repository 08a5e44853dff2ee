"""A budget that a compressed net has to meet: parameters, multiply-accumulates, bytes or milliseconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn

from bmx.compression.method import Context
from bmx.errors import UsageError, did_you_mean
from bmx.measure.cost import file_bytes
from bmx.measure.latency import interleave
from bmx.measure.macs import count_macs

_SECONDS = 0.5  # spent on measuring one net


@dataclass(frozen=True)
class Budget:
    """What a compressed net may cost; exactly one field is set.

    A fraction, up to 1, is of what the layers that are compressed cost before. A larger number is what the whole net
    may cost after, by the ruler of ``bmx bench``; milliseconds always are.

    Args:
        params: parameters.
        macs: multiply-accumulates of one sample.
        bytes: size of the weights' file.
        latency_ms: milliseconds for a batch of one, median, in torch on this machine.

    Raises:
        UsageError: none or several are set, or the number cannot be a budget.
    """

    params: float | None = None
    macs: float | None = None
    bytes: float | None = None
    latency_ms: float | None = None

    def __post_init__(self) -> None:
        chosen = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        if len(chosen) != 1:
            what = f"{len(chosen)} budgets are set: {', '.join(chosen)}" if chosen else "no budget is set"
            raise UsageError(what, "compression.budget", "set exactly one of params, macs, bytes, latency_ms")
        name, value = next(iter(chosen.items()))
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value <= 0:
            fix = "give a fraction such as 0.1, or what the whole net may cost"
            raise UsageError(f"{value!r} cannot be a budget", f"compression.budget.{name}", fix)

    @classmethod
    def of(cls, value: Budget | Mapping[str, Any] | None) -> Budget | None:
        """The budget of a configuration; None where none of its fields is set.

        Raises:
            UsageError: a field that does not exist, or as the constructor.
        """
        if value is None or isinstance(value, Budget):
            return value
        known = [f.name for f in fields(cls)]
        for name in value:
            if name not in known:
                fix = did_you_mean(str(name), known)
                raise UsageError(f"there is no budget {name!r}", f"compression.budget.{name}", fix)
        given = {str(name): number for name, number in value.items() if number is not None}
        return cls(**given) if given else None

    @property
    def unit(self) -> str:
        """The name of the field that is set."""
        return next(f.name for f in fields(self) if getattr(self, f.name) is not None)

    @property
    def value(self) -> float:
        """The number that is set."""
        return float(getattr(self, self.unit))

    @property
    def is_fraction(self) -> bool:
        """Whether it is a share of the compressed layers, not a number for the whole net."""
        return self.unit != "latency_ms" and self.value <= 1

    def for_layers(self, before: float, whole: float) -> float:
        """What the compressed layers may cost together, if they cost ``before`` and the whole net ``whole``."""
        return self.value * before if self.is_fraction else self.value - max(0.0, whole - before)

    def measure(self, net: nn.Module, context: Context) -> float:
        """What a whole net costs in the budget's unit, by the ruler of ``bmx bench``."""
        return measure(self.unit, net, context)

    def holds(self, net: nn.Module, context: Context) -> bool:
        """Whether a whole net costs no more than the number that is set, which must not be a fraction."""
        return self.measure(net, context) <= self.value


def measure(unit: str, net: nn.Module, context: Context) -> float:
    """What a net costs: ``params``, ``macs`` of one sample, ``bytes`` of its file, or ``latency_ms`` of one sample."""
    if unit == "params":
        return sum(p.numel() for p in net.parameters())
    if unit == "macs":
        return count_macs(net, context.example)
    if unit == "bytes":
        return file_bytes(net)
    was_training = net.training
    net.eval()
    with torch.inference_mode():
        took = interleave({"net": lambda: net(context.example)}, _SECONDS)["net"].median
    net.train(was_training)
    return 1000 * took
