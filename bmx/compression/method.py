"""What every compression method takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

from bmx.compression.recipe import Step
from bmx.data.spec import DataSpec


@dataclass(frozen=True)
class Context:
    """What a method may look at besides the model.

    Attributes:
        spec: of the data.
        example: one sample as the net takes it, batch of one; what costs are counted with.
        calibration: calibration(n) gives at least min(n, all) training samples in batches (inputs as the net takes
            them, targets), the same ones each time, without augmentation.
        loss: mean loss of outputs and targets.
        score: of a net on the validation set, higher is better; in percentage points for classification.
        seed: of the run; what a method draws must follow from it alone.
        initial: makes the net as it was before its training began; None where that is not known.
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
    """What became of one layer.

    Attributes:
        name: its path in the original model.
        kind: its class.
        before: parameters it had.
        after: parameters it has; for masks those that are not zero.
        note: ``rank 12 of 64``, ``left alone: grouped convolution``.
    """

    name: str
    kind: str
    before: int
    after: int
    note: str = ""


class Tuning(Protocol):
    """What has to hold while a compressed net is fine-tuned: masks stay zero, a schedule goes on."""

    @property
    def settled(self) -> bool:
        """Whether the net has its final form; a net from before that is no result."""

    def after_step(self, step: int, steps: int) -> None:
        """Called after each optimiser step; ``step`` counts from 1 to ``steps``."""

    def state_dict(self) -> dict[str, Any]:
        """What an exact resume needs besides the net's own tensors: plain containers and tensors."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a state that ``state_dict`` gave."""


@dataclass(frozen=True)
class Outcome:
    """What a method made of a net.

    Attributes:
        net: the compressed net; a new one, the given net is as it was.
        recipe: the steps that make its architecture out of the given net's.
        layers: one entry for each layer with weights, in the net's order; those left alone say why.
        tuning: what has to hold during fine-tuning; None if nothing.
        finish: turns the fine-tuned net into its final form (quantised weights are stored as integers), given the net
            and the context; None if it is final as it is.
        facts: numbers and plots' data worth keeping in result.json; plain containers.
    """

    net: nn.Module
    recipe: Sequence[Step]
    layers: Sequence[LayerChange]
    tuning: Tuning | None = None
    finish: Callable[[nn.Module, Context], Outcome] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


class Method(Protocol):
    """A compression method: its fields are those of the ``compression`` group, its call does the work.

    A class may say more of itself: ``place``, where it stands in an order of stages (0 is first); ``must_be_last``, why
    no stage may follow; ``smallest``, the least of ``budget.params`` that a search towards a target tries;
    ``keeps_size``, that what it takes away stays in the file as zeros; ``epochs`` of fine-tuning that it needs;
    ``while_training``, that it can compress a net as it is trained; ``settles_late``, that the net has its final form
    only after some steps of training or tuning.
    """

    def __call__(self, net: nn.Module, context: Context) -> Outcome:
        """Compresses ``net`` (in eval mode, on the CPU).

        Raises:
            UsageError: a field or a budget that cannot be met with this net; says the nearest that can.
        """
