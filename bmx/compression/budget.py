"""Budget of a compressed model: parameters, multiply-accumulates (MACs), bytes or latency."""

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
    """Upper limit on the cost of a compressed net; exactly one field is set.

    A number up to 1 is a fraction of the original cost of the layers that are compressed. A larger number limits the
    whole compressed net, as ``bmx bench`` measures it; milliseconds always do.

    Args:
        params: parameters.
        macs: multiply-accumulates of one sample.
        bytes: size of the weights' file.
        latency_ms: milliseconds for a batch of one, median, in torch on this machine.

    Raises:
        UsageError: none or several are set, or the number is no valid budget.
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
        """Creates the budget of a configuration; None where none of its fields is set.

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
        """Whether it is a fraction of the compressed layers, not a limit on the whole net."""
        return self.unit != "latency_ms" and self.value <= 1

    def for_layers(self, before: float, whole: float) -> float:
        """Limit on the total of the compressed layers, which cost ``before`` in a net that costs ``whole``."""
        return self.value * before if self.is_fraction else self.value - max(0.0, whole - before)

    def measure(self, net: nn.Module, context: Context) -> float:
        """Cost of a whole net in the budget's unit, as ``bmx bench`` measures it."""
        return measure(self.unit, net, context)

    def holds(self, net: nn.Module, context: Context) -> bool:
        """Whether a whole net is within the budget, which must not be a fraction."""
        return self.measure(net, context) <= self.value


def measure(unit: str, net: nn.Module, context: Context) -> float:
    """Cost of a net: ``params``, ``macs`` of one sample, ``bytes`` of its file, or ``latency_ms`` of one sample."""
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
