"""Distillation methods, the options of ``distillation=``: each weighs the task's loss against a teacher's term.

The loss of a step is ``alpha`` times the task's own loss plus :attr:`Distillation.scale` times
:meth:`Distillation.term`. The scale is ``weight``, which defaults to 1 - ``alpha``, times the method's own factor: L =
α·CE + (1 - α)·T²·KL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor, nn

from bmx.distillation import features as of_features
from bmx.distillation import logits as of_logits
from bmx.distillation.adapters import Adapter


@dataclass(frozen=True)
class Outputs:
    """Outputs of a net for a batch.

    Attributes:
        logits: (N, K).
        features: of each requested layer, in that order.
        rows: (N,) indices of the training samples; of the student, where :attr:`Distillation.needs_rows`.
    """

    logits: Tensor
    features: list[Tensor] = field(default_factory=list)
    rows: Tensor | None = None


class Distillation:
    """Base class of distillation methods: weighs the task's loss against a distillation term.

    Args:
        alpha: weight of the task's own loss, 0 or more.
        weight: weight of the distillation term; None is 1 - alpha.
        mixup: parameter of the Beta distribution by which pairs of samples are mixed; 0 mixes none.

    Raises:
        ValueError: a weight below 0, or all of them 0.
    """

    needs_classes = True
    # Kind of the default layers: `embedding` or `map`; None where the method needs no features.
    layers: str | None = None
    # Whether it needs the indices of the training samples.
    needs_rows = False

    def __init__(self, alpha: float = 0.1, weight: float | None = None, mixup: float = 0.0) -> None:
        if weight is None and alpha > 1:
            raise ValueError(f"with alpha={alpha} above 1 the weight of the teacher, 1 - alpha, is negative")
        for name, value in (("alpha", alpha), ("weight", weight or 0.0), ("mixup", mixup)):
            if value < 0:
                raise ValueError(f"{name} must be 0 or more, got {value}")
        if not alpha and weight == 0:
            raise ValueError("alpha=0 and weight=0 leave nothing to learn from")
        self.alpha = float(alpha)
        self.weight = 1 - self.alpha if weight is None else float(weight)
        # The product of all factors of the term, which makes one operation of them.
        self.scale = self.weight
        self.mixup = float(mixup)
        self.student_layers: tuple[str, ...] | None = None
        self.teacher_layers: tuple[str, ...] | None = None

    def prepare(self, teacher: Outputs, targets: Tensor) -> Outputs:
        """The teacher's part of :meth:`term`, one row per sample; computed once where teacher outputs are cached."""
        return teacher

    def term(self, student: Outputs, teacher: Outputs, targets: Tensor, parts: Sequence[nn.Module] = ()) -> Tensor:
        """The distillation term of a batch, a scalar.

        Args:
            student: outputs of the student.
            teacher: the result of :meth:`prepare`.
            targets: of the samples.
            parts: the :meth:`learned_part` of each pair of layers; empty where there is none.
        """
        raise NotImplementedError

    def learned_part(self, student: Tensor, teacher: Tensor, targets: Tensor) -> nn.Module | None:
        """Creates the learned module (such as an adapter) to compare a student's feature with a teacher's, if any.

        Args:
            student: an example (N, C, ...) of the student's feature.
            teacher: likewise of the teacher.
            targets: of all training samples.
        """
        return None


class KD(Distillation):
    """Knowledge distillation at a temperature; see :func:`bmx.distillation.logits.kd`."""

    def __init__(
        self, alpha: float = 0.1, temperature: float = 4.0, weight: float | None = None, mixup: float = 0.0
    ) -> None:
        super().__init__(alpha, weight, mixup)
        self.temperature = above_zero("temperature", temperature)
        self.scale *= self.temperature**2

    def prepare(self, teacher: Outputs, targets: Tensor) -> Outputs:
        return Outputs(of_logits.soften(teacher.logits, self.temperature))

    def term(self, student: Outputs, teacher: Outputs, targets: Tensor, parts: Sequence[nn.Module] = ()) -> Tensor:
        return of_logits.divergence(student.logits, teacher.logits, self.temperature)


class StandardisedKD(KD):
    """Knowledge distillation on standardised logits; see :func:`bmx.distillation.logits.kd_std`."""

    def prepare(self, teacher: Outputs, targets: Tensor) -> Outputs:
        return Outputs(of_logits.soften(of_logits.standardise(teacher.logits), self.temperature))

    def term(self, student: Outputs, teacher: Outputs, targets: Tensor, parts: Sequence[nn.Module] = ()) -> Tensor:
        return of_logits.divergence(of_logits.standardise(student.logits), teacher.logits, self.temperature)


class MSELogits(Distillation):
    """MSE of the logits, also for regression; see :func:`bmx.distillation.logits.mse_logits`."""

    needs_classes = False

    def term(self, student: Outputs, teacher: Outputs, targets: Tensor, parts: Sequence[nn.Module] = ()) -> Tensor:
        return of_logits.mse_logits(student.logits, teacher.logits)


class DKD(Distillation):
    """Decoupled distillation; see :func:`bmx.distillation.logits.dkd`."""

    def __init__(
        self,
        alpha: float = 1.0,
        temperature: float = 4.0,
        target_weight: float = 1.0,
        other_weight: float = 2.0,
        weight: float | None = 1.0,
        mixup: float = 0.0,
    ) -> None:
        super().__init__(alpha, weight, mixup)
        self.temperature = above_zero("temperature", temperature)
        self.target_weight, self.other_weight = target_weight, other_weight

    def prepare(self, teacher: Outputs, targets: Tensor) -> Outputs:
        weights = (self.temperature, self.target_weight, self.other_weight)
        first, *rest = of_logits.decoupling(teacher.logits, targets, *weights)
        return Outputs(first, rest)

    def term(self, student: Outputs, teacher: Outputs, targets: Tensor, parts: Sequence[nn.Module] = ()) -> Tensor:
        said = (teacher.logits, teacher.features[0], teacher.features[1])
        return of_logits.decoupled(student.logits, said, targets, self.temperature)


class DIST(Distillation):
    """DIST: correlations instead of a divergence; see :func:`bmx.distillation.logits.dist`."""

    def __init__(
        self,
        alpha: float = 1.0,
        temperature: float = 1.0,
        between_weight: float = 1.0,
        within_weight: float = 1.0,
        weight: float | None = 1.0,
        mixup: float = 0.0,
    ) -> None:
        super().__init__(alpha, weight, mixup)
        self.temperature = above_zero("temperature", temperature)
        self.between_weight, self.within_weight = between_weight, within_weight

    def prepare(self, teacher: Outputs, targets: Tensor) -> Outputs:
        theirs, rows = of_logits.correlates(teacher.logits, self.temperature)
        return Outputs(theirs, [rows])

    def term(self, student: Outputs, teacher: Outputs, targets: Tensor, parts: Sequence[nn.Module] = ()) -> Tensor:
        weights = (self.temperature, self.between_weight, self.within_weight)
        return of_logits.correlated(student.logits, (teacher.logits, teacher.features[0]), *weights)


class LayerMethod(Distillation):
    """Base class of feature distillation methods.

    Args:
        student_layers: paths of layers of the student, such as ``features.1``; ``head:input`` is a layer's input. None
            chooses.
        teacher_layers: as many of the teacher.
    """

    needs_classes = False
    layers = "embedding"

    def __init__(
        self,
        alpha: float = 1.0,
        weight: float | None = 1.0,
        student_layers: list[str] | None = None,
        teacher_layers: list[str] | None = None,
        mixup: float = 0.0,
    ) -> None:
        super().__init__(alpha, weight, mixup)
        if student_layers and teacher_layers and len(student_layers) != len(teacher_layers):
            counts = f"{len(student_layers)} of the student and {len(teacher_layers)} of the teacher"
            raise ValueError(f"layers are compared in pairs, got {counts}")
        self.student_layers = tuple(student_layers) if student_layers else None
        self.teacher_layers = tuple(teacher_layers) if teacher_layers else None


class FitNet(LayerMethod):
    """FitNets hints: features compared through a learned adapter; see :func:`bmx.distillation.features.fitnet`."""

    def term(self, student: Outputs, teacher: Outputs, targets: Tensor, parts: Sequence[nn.Module] = ()) -> Tensor:
        own = [part(f) for part, f in zip(parts, student.features, strict=True)] if parts else student.features
        pairs = zip(own, teacher.features, strict=True)
        return sum((of_features.fitnet(*same_positions(s, t)) for s, t in pairs), student.logits.new_zeros(()))

    def learned_part(self, student: Tensor, teacher: Tensor, targets: Tensor) -> nn.Module | None:
        channels = [of_features.channels_first(f).shape[1] for f in (student, teacher)]
        return None if channels[0] == channels[1] else Adapter(channels[0], channels[1])


class Attention(LayerMethod):
    """Attention transfer; see :func:`bmx.distillation.features.attention`."""

    layers = "map"

    def term(self, student: Outputs, teacher: Outputs, targets: Tensor, parts: Sequence[nn.Module] = ()) -> Tensor:
        pairs = zip(student.features, teacher.features, strict=True)
        return sum((of_features.attention(*same_positions(s, t)) for s, t in pairs), student.logits.new_zeros(()))


class RKD(LayerMethod):
    """Relational distillation of distances and angles; see :func:`bmx.distillation.features.rkd_distance`."""

    def __init__(
        self,
        alpha: float = 1.0,
        distance_weight: float = 25.0,
        angle_weight: float = 50.0,
        weight: float | None = 1.0,
        student_layers: list[str] | None = None,
        teacher_layers: list[str] | None = None,
        mixup: float = 0.0,
    ) -> None:
        super().__init__(alpha, weight, student_layers, teacher_layers, mixup)
        self.distance_weight, self.angle_weight = distance_weight, angle_weight

    def term(self, student: Outputs, teacher: Outputs, targets: Tensor, parts: Sequence[nn.Module] = ()) -> Tensor:
        total = student.logits.new_zeros(())
        for s, t in zip(student.features, teacher.features, strict=True):
            s, t = s.flatten(1), t.flatten(1)
            if self.distance_weight:
                total = total + self.distance_weight * of_features.rkd_distance(s, t)
            if self.angle_weight:
                total = total + self.angle_weight * of_features.rkd_angle(s, t)
        return total


def same_positions(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Pools two features to the same positions: images to the smaller size, tokens to the smaller number.

    Features without positions (N, C) are compared with the mean over the other's positions. Both are returned with
    channels second.
    """
    if student.ndim == teacher.ndim == 4:
        size = (min(student.shape[2], teacher.shape[2]), min(student.shape[3], teacher.shape[3]))
        pooled = [f if tuple(f.shape[2:]) == size else F.adaptive_avg_pool2d(f, size) for f in (student, teacher)]
        return pooled[0], pooled[1]
    flat = [of_features.channels_first(f) for f in (student, teacher)]
    if any(f.ndim == 2 for f in flat):
        flat = [f if f.ndim == 2 else f.mean(2) for f in flat]
        return flat[0], flat[1]
    positions = min(f.shape[2] for f in flat)
    pooled = [f if f.shape[2] == positions else F.adaptive_avg_pool1d(f, positions) for f in flat]
    return pooled[0], pooled[1]


def above_zero(name: str, value: float) -> float:
    """Checks that a value is above 0 and returns it.

    Raises:
        ValueError: it is not.
    """
    if not value > 0:
        raise ValueError(f"{name} must be above 0, got {value}")
    return float(value)
