"""Interface of compression methods: their context, outcome, and hooks in fine-tuning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

from bmx.compression.recipe import Step
from bmx.data.spec import DataSpec


@dataclass(frozen=True)
class Context:
    """Inputs of a compression method besides the model.

    Attributes:
        spec: of the data.
        example: one sample as the net takes it, batch of one; costs are counted on it.
        calibration: calibration(n) yields at least min(n, all) training samples in batches (inputs as the net takes
            them, targets), the same ones each time, without augmentation.
        loss: mean loss of outputs and targets.
        score: score of a net on the validation set, higher is better; in percentage points for classification.
        seed: of the run; all random numbers of a method must follow from it alone.
        initial: builds the net with its weights at initialisation; None where these are not known.
    """

    spec: DataSpec
    example: Tensor
    calibration: Callable[[int], Iterator[tuple[Tensor, Tensor]]]
    loss: Callable[[Tensor, Tensor], Tensor]
    score: Callable[[nn.Module], float]
    seed: int = 0
    initial: Callable[[], nn.Module] | None = None


@dataclass(frozen=True)
class LayerChange:
    """Change of one layer by a compression.

    Attributes:
        name: its path in the original model.
        kind: its class.
        before: number of parameters before.
        after: number of parameters after; for masks those that are not zero.
        note: such as ``rank 12 of 64``, ``left alone: grouped convolution``.
    """

    name: str
    kind: str
    before: int
    after: int
    note: str = ""


class Tuning(Protocol):
    """Hook after each step of fine-tuning a compressed net: holds masks at zero, advances a pruning schedule."""

    @property
    def settled(self) -> bool:
        """Whether the net has its final form; an earlier net is not a valid result."""

    def after_step(self, step: int, steps: int) -> None:
        """Called after each optimiser step; ``step`` counts from 1 to ``steps``."""

    def state_dict(self) -> dict[str, Any]:
        """State that an exact resume needs besides the net's own tensors: plain containers and tensors."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state that ``state_dict`` returned."""


@dataclass(frozen=True)
class Outcome:
    """Result of a compression method.

    Attributes:
        net: the compressed net, a new one; the given net is not modified.
        recipe: the steps that rebuild its architecture from that of the given net.
        layers: one entry for each layer with weights, in the net's order; skipped ones with the reason.
        tuning: hook for fine-tuning; None if none is needed.
        finish: turns the fine-tuned net into its final form (quantised weights are stored as integers), given the net
            and the context; None if it is final as it is.
        facts: numbers and data of plots for result.json; plain containers.
    """

    net: nn.Module
    recipe: Sequence[Step]
    layers: Sequence[LayerChange]
    tuning: Tuning | None = None
    finish: Callable[[nn.Module, Context], Outcome] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


class Method(Protocol):
    """A compression method: its fields are those of its option in the ``compression`` group, its call compresses.

    Optional class attributes: ``place``, its position in an order of stages (0 is first); ``must_be_last``, why no
    stage may follow; ``smallest``, the least ``budget.params`` that a search towards a target tries; ``keeps_size``,
    that removed weights stay in the file as zeros; ``epochs`` of fine-tuning that it needs; ``while_training``, that it
    can compress a net during training; ``settles_late``, that the net has its final form only after some steps of
    training or tuning.
    """

    def __call__(self, net: nn.Module, context: Context) -> Outcome:
        """Compresses ``net`` (in eval mode, on the CPU).

        Raises:
            UsageError: a field or a budget that cannot be met with this net; the message names the nearest that can.
        """
