"""Activation functions by name, and their order relative to pooling."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from bmx.errors import did_you_mean

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "identity": nn.Identity,
}

# These never decrease, so the largest of a window is the same before and after them. GELU and SiLU dip below zero.
MONOTONE = frozenset({"relu", "tanh", "sigmoid", "leaky_relu", "elu", "identity"})

POOLS: dict[str, Callable[[int], nn.Module]] = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


def activation(name: str) -> nn.Module:
    """Creates the activation module called ``name``.

    Never in place: that gains nothing measurable, and hooks that read a layer's output would see it overwritten.

    Raises:
        ValueError: the name is unknown; the nearest ones are named.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"no activation is called {name!r}: {did_you_mean(str(name), ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def pool_and_activation(pool: str, act: str, size: int = 2) -> list[nn.Module]:
    """A ``size`` x ``size`` pooling of that stride and an activation, in the cheaper order equal to activation first.

    Max pooling commutes with every non-decreasing function, and pooling first leaves a quarter of the elements.

    Raises:
        ValueError: ``pool`` or ``act`` is unknown.
    """
    if pool not in POOLS:
        raise ValueError(f"no pooling is called {pool!r}: {did_you_mean(str(pool), POOLS)}")
    layers = [activation(act), POOLS[pool](size)]
    return layers[::-1] if pool == "max" and act in MONOTONE else layers
