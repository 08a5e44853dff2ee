"""Int8 storage of parameters outside the quantised layers, such as position embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from bmx.compression.quantize import quantization_grid

# Below this many elements, and this many that share a step, there is nothing to gain.
_LEAST, _LEAST_ROW = 1024, 16
BITS = 8


class RoundedTable(nn.Module):
    """Parametrization of a parameter as int8 rows with a step each; while tuned, fake-quantised floats.

    Args:
        table: the parameter.
    """

    scale: Tensor

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.shape = table.shape
        self.register_buffer("scale", torch.ones(len(rows(table)), 1))

    def forward(self, stored: Tensor) -> Tensor:
        """The values on their grids, from ``stored`` floats or int8 codes."""
        if stored.is_floating_point():
            clip = torch.ones_like(self.scale, dtype=stored.dtype)
            return quantization_grid.weights_on_grid(rows(stored), BITS, 0, clip).view(self.shape)
        return (rows(stored).to(self.scale.dtype) * self.scale).view(self.shape)

    def store(self, parameter: nn.Parameter) -> None:
        """Converts the floats of ``parameter`` to codes, in place."""
        if parameter.is_floating_point():
            groups = rows(parameter.detach()).unsqueeze(1)
            self.scale = quantization_grid.weight_scale(groups, BITS)
            parameter.requires_grad_(False)
            parameter.data = quantization_grid.weight_codes(groups, self.scale, BITS).view(self.shape)


def rows(table: Tensor) -> Tensor:
    """A parameter as a matrix whose rows share a step: by output, or by position where there is one table only."""
    return table.flatten(0, -2) if table.shape[0] == 1 else table.flatten(1)


def tables(module: nn.Module) -> list[str]:
    """Names of the parameters of one module that are worth storing as integers."""
    if isinstance(module, nn.RNNBase | RoundedTable | parametrize.ParametrizationList):
        return []
    if getattr(module, "max_norm", None) is not None:  # Such an embedding writes into its weights.
        return []
    return [
        name
        for name, p in module.named_parameters(recurse=False)
        if p.is_floating_point() and p.dim() > 1 and p.numel() >= _LEAST and rows(p).shape[1] >= _LEAST_ROW
    ]


def round_table(module: nn.Module, name: str, tuning: bool) -> None:
    """Quantises a parameter of ``module``, in place."""
    table = cast(nn.Parameter, getattr(module, name))
    parametrize.register_parametrization(module, name, RoundedTable(table), unsafe=True)
    if not tuning:
        store_tables(module, recurse=False)


def store_tables(module: nn.Module, recurse: bool = True) -> None:
    """Converts tuned tables to stored ones, in place, with the same values."""
    for holder in module.modules() if recurse else [module]:
        for _, held, rounded in rounded_tables(holder):
            rounded.store(cast(nn.Parameter, held.original))


def rounded_tables(module: nn.Module) -> Iterator[tuple[str, parametrize.ParametrizationList, RoundedTable]]:
    """Name, parametrization list and :class:`RoundedTable` of each quantised parameter of one module."""
    if parametrize.is_parametrized(module):
        for name, found in cast(nn.ModuleDict, module.parametrizations).items():
            held = cast(parametrize.ParametrizationList, found)
            if isinstance(held[0], RoundedTable):
                yield name, held, held[0]
