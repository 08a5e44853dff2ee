"""Base class of a kind of data: its axes, its names, and the operations on its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from bmx.data.pipeline.problems import Problems
    from bmx.data.pipeline.rows import FileRows
    from bmx.data.spec import DataSpec

# Number of values of a sample that is shown as text.
_SHOWN = 8


class Kind:
    """One kind of data; a module of that name has an instance of a subclass as its ``KIND``.

    The defaults are those of table rows: real numbers that are normalised along the first axis of a sample, may be
    mixed, and are shown as text.
    """

    axes: tuple[str, ...]
    """Names of the axes of a sample, such as ``("channel", "y", "x")``; normalised along the first."""
    samples: str
    """Plural name of samples, for titles: ``images``."""
    values: str
    """Plural name of their values, for users of an exported file: ``pixels``."""
    stored: torch.dtype = torch.float32
    """The usual dtype of stored samples."""
    ids: bool = False
    """Whether the values are ids of symbols: int64 for every model and runtime, and never normalised."""
    unmixable: str = ""
    """Why two samples cannot be mixed (mixup); empty if they can."""
    channels_last: bool = False
    """Whether ``trainer.channels_last`` applies to the memory format of models; for (N, C, H, W)."""

    def check(self, spec: DataSpec) -> None:
        """Validates the fields of a spec that only this kind has.

        Raises:
            ValueError: they contradict each other.
        """

    def channels(self, spec: DataSpec) -> int:
        """Channels of a sample, the ``in_channels`` of a model; 0 for none."""
        return 0

    def sizes(self, spec: DataSpec) -> dict[str, Any]:
        """Further sizes that a model's constructor may take, by argument name."""
        return {}

    def statistics_shape(self, spec: DataSpec) -> tuple[int, ...] | None:
        """The shape of ``scale`` and ``shift``, one of each per index of the first axis; None for ids."""
        return None if self.ids else (spec.input_shape[0], *[1] * (len(self.axes) - 1))

    def random_inputs(self, spec: DataSpec, samples: int, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
        """A batch (``samples``, …) of noise as the input stage returns it."""
        return torch.randn((samples, *spec.input_shape), generator=generator).to(dtype)

    def as_stored(self, normal: Tensor) -> Tensor:
        """Converts samples of :meth:`random_inputs` to the range and dtype of stored samples."""
        return normal

    def shape_advice(self, have: tuple[int, ...], want: tuple[int, ...]) -> str:
        """Advice for samples of the shape ``have`` where the spec has ``want``."""
        return "make them the same"

    def in_form(self, inputs: Tensor | FileRows, split: str, problems: Problems) -> Tensor | FileRows:
        """Converts inputs to a dtype that can be checked; reports inputs that have none to ``problems``."""
        return inputs

    def check_values(self, inputs: Tensor | FileRows, spec: DataSpec, split: str, problems: Problems) -> None:
        """Reports values that are invalid for this kind; finiteness and variance are checked for every kind."""

    def can_view(self, shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
        """Whether samples of one shape can be converted for a net that takes another."""
        return shape == wanted

    def view(self, raw: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Converts a raw batch to samples of ``shape``, where :meth:`can_view` allows it."""
        return raw

    def show(self, raw: Tensor, spec: DataSpec) -> Any:
        """One raw sample for display: a uint8 array (H, W, C), or text."""
        numbers = raw.flatten().tolist()
        return "  ".join(f"{value:.4g}" for value in numbers[:_SHOWN]) + ("  …" if len(numbers) > _SHOWN else "")

    def description(self, spec: DataSpec) -> dict[str, Any]:
        """Further entries of the JSON file next to an export, besides shape and labels; plain containers."""
        return {}
