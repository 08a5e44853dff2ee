"""What a metric is: its name, how it is said and written, which way is better, and how it is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from torch import Tensor

Task = Literal["classification", "regression"]


class Metric:
    """A number that says how good a model's outputs are. A class of it says the facts and writes its ``__call__``.

    Attributes:
        name: in results, behind the part of the data: ``accuracy`` of ``test/accuracy``. Of a word of the group
            ``metrics`` it is the key that the word fills.
        label: in tables and plots; empty says the name.
        short: in narrow columns, and another name that callbacks may follow; empty if there is none.
        averaged: how it is averaged over classes, said in the place of the part: ``macro``.
        higher_is_better: None where nobody has said.
        task: what it measures; None where that does not matter.
        percent: written in per cent, else in significant figures.
        share: never below 0 nor above 1.
    """

    name: str = ""
    label: str = ""
    short: ClassVar[str] = ""
    averaged: ClassVar[str] = ""
    higher_is_better: bool | None = None
    task: ClassVar[Task | None] = None
    percent: bool = False
    share: bool = False

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        """The metric over all samples of a set, which are on the CPU.

        Args:
            outputs: of classification logits (N, K), K ≥ 2, float32; of regression predictions (N,), float64.
            targets: class numbers (N,), int64; or values (N,), float64.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it is computed")

    @property
    def said(self) -> str:
        """The label, or the name in words."""
        return self.label or self.name.replace("_", " ")


class OfCounts(Metric):
    """A metric of classes that needs no more than how often each occurs, is the answer, and is the right one."""

    task: ClassVar[Task | None] = "classification"

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        classes, answers = outputs.shape[1], outputs.argmax(1)
        counted = (found.bincount(minlength=classes) for found in (answers[answers == targets], targets, answers))
        return self.of_counts(*(found.double() for found in counted))

    def of_counts(self, right: Tensor, samples: Tensor, guesses: Tensor) -> float:
        """The metric from counts of each class, float64 (K,) each.

        Args:
            right: samples whose answer was right.
            samples: samples that there are.
            guesses: samples that it was the answer to.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it is computed")
