"""What bmx has to know of a kind of data: its axes, its names, and what is done with its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from bmx.data.pipeline.problems import Problems
    from bmx.data.pipeline.rows import FileRows
    from bmx.data.spec import DataSpec

# Of a sample that is shown as text.
_SHOWN = 8


class Kind:
    """One kind of data; a module of that name has an instance of a subclass as its ``KIND``.

    What is not said is as for rows of measurements: real numbers that are normalised along the first axis of a sample,
    may be mixed, and are shown as text.
    """

    axes: tuple[str, ...]
    """What the axes of a sample are called, ``("channel", "y", "x")``; normalised along the first."""
    samples: str
    """What several samples are called, for titles: ``images``."""
    values: str
    """What their numbers are called, for who feeds an exported file: ``pixels``."""
    stored: torch.dtype = torch.float32
    """The type that samples usually are stored in."""
    ids: bool = False
    """Whether the numbers name symbols: int64 for every model and runtime, and never normalised."""
    unmixable: str = ""
    """Why two samples cannot be blended into one; empty if they can."""
    channels_last: bool = False
    """Whether the weights of models lie in memory as ``trainer.channels_last`` says; for (N, C, H, W)."""

    def check(self, spec: DataSpec) -> None:
        """Looks at the fields of a spec that only this kind has.

        Raises:
            ValueError: they contradict each other.
        """

    def channels(self, spec: DataSpec) -> int:
        """Channels of a sample, what a model asks for as ``in_channels``; 0 for none."""
        return 0

    def sizes(self, spec: DataSpec) -> dict[str, Any]:
        """Further sizes that a model's constructor may ask for, by the names that it does so."""
        return {}

    def statistics_shape(self, spec: DataSpec) -> tuple[int, ...] | None:
        """The shape of ``scale`` and ``shift``, one of each for each place of the first axis; None for ids."""
        return None if self.ids else (spec.input_shape[0], *[1] * (len(self.axes) - 1))

    def random_inputs(self, spec: DataSpec, samples: int, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
        """A batch (``samples``, …) of noise as a model takes it behind the input stage."""
        return torch.randn((samples, *spec.input_shape), generator=generator).to(dtype)

    def as_stored(self, normal: Tensor) -> Tensor:
        """Samples such as those of :meth:`random_inputs` in the range and type that samples are stored in."""
        return normal

    def shape_advice(self, have: tuple[int, ...], want: tuple[int, ...]) -> str:
        """What to do about samples of the shape ``have`` where the spec says ``want``."""
        return "make them the same"

    def in_form(self, inputs: Tensor | FileRows, split: str, problems: Problems) -> Tensor | FileRows:
        """Inputs of a type that they can be looked through in; what has no such type is told to ``problems``."""
        return inputs

    def check_values(self, inputs: Tensor | FileRows, spec: DataSpec, split: str, problems: Problems) -> None:
        """Tells of values that this kind cannot have; that numbers are finite and vary is looked at for every kind."""

    def can_view(self, shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
        """Whether samples of one shape can be shown to a net that takes another."""
        return shape == wanted

    def view(self, raw: Tensor, shape: tuple[int, ...]) -> Tensor:
        """A raw batch as samples of ``shape``, where :meth:`can_view` says so."""
        return raw

    def show(self, raw: Tensor, spec: DataSpec) -> Any:
        """One raw sample as a person would want to see it: a uint8 array (H, W, C), or text."""
        numbers = raw.flatten().tolist()
        return "  ".join(f"{value:.4g}" for value in numbers[:_SHOWN]) + ("  …" if len(numbers) > _SHOWN else "")

    def description(self, spec: DataSpec) -> dict[str, Any]:
        """What the JSON file beside an export says besides shape and labels; plain containers."""
        return {}
