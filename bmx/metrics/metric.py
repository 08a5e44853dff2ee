"""Base classes of metrics: name, label, direction, and computation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bmx.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

Task = Literal["classification", "regression"]


class Metric:
    """A measure of the quality of a model's outputs. A subclass sets the attributes and implements ``__call__``.

    Attributes:
        name: in results, after the split: ``accuracy`` of ``test/accuracy``. For an option of the group ``metrics`` it
            is the key that the option fills.
        label: in tables and plots; the name if empty.
        short: in narrow columns, and another name that callbacks may monitor; empty if there is none.
        averaged: the kind of class average, shown in place of the split: ``macro``.
        higher_is_better: None where unknown.
        task: the task it applies to; None for any.
        percent: shown in per cent, else in significant figures.
        share: bounded to 0 to 1.
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
        """The metric over all samples of a dataset, which are on the CPU.

        Args:
            outputs: for classification logits (N, K), K ≥ 2, float32; for regression predictions (N,), float64.
            targets: class indices (N,), int64; or values (N,), float64.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it is computed")

    @property
    def said(self) -> str:
        """The label, or the name in plain text."""
        return self.label or self.name.replace("_", " ")


def metric_class(found: object, target: str, key: str) -> type[Metric]:
    """The class of a metric that a ``_target_`` names.

    Raises:
        UsageError: it is no metric.
    """
    if not (isinstance(found, type) and issubclass(found, Metric)):
        raise UsageError(f"{target} is not a bmx metric", key, "subclass bmx.metrics.metric.Metric")
    return found


class OfCounts(Metric):
    """A classification metric of per-class counts: of samples, of predictions, and of correct predictions."""

    task: ClassVar[Task | None] = "classification"

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        classes, answers = outputs.shape[1], outputs.argmax(1)
        counted = (found.bincount(minlength=classes) for found in (answers[answers == targets], targets, answers))
        return self.of_counts(*(found.double() for found in counted))

    def of_counts(self, right: Tensor, samples: Tensor, guesses: Tensor) -> float:
        """The metric from per-class counts, float64 (K,) each.

        Args:
            right: correct predictions of the class.
            samples: samples of the class.
            guesses: predictions of the class.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it is computed")
