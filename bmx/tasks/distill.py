"""Knowledge-distillation task: fits a student to labels and to the outputs of frozen teachers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bmx.distillation.capture import Capture
from bmx.distillation.method import Distillation, Outputs
from bmx.distillation.mixup import Mixed, mixup
from bmx.distillation.teacher_cache import TeacherOutputs
from bmx.distillation.teachers import Teachers
from bmx.tasks.fit import FitTask
from bmx.tasks.losses import two_class_logits


@dataclass(frozen=True)
class Lesson:
    """Method and teachers of a distillation; a plain object, so that the task registers none of the nets in it.

    Attributes:
        method: the distillation loss and its weight against the labels.
        teachers: are run on each batch, unless ``kept`` is set.
        kept: cached outputs of the teachers for all training samples.
        student_layers: the student's layers whose features the method compares.
        learned: learned projections of these features; trained with the student and stored in the checkpoint of the
            run, but not part of the student.
    """

    method: Distillation
    teachers: Teachers
    kept: TeacherOutputs | None = None
    student_layers: tuple[str, ...] = ()
    learned: nn.ModuleList | None = None


class DistillTask(FitTask):
    """Fits a plain model to a data set and to frozen teachers.

    Args:
        lesson: see :class:`Lesson`; the other arguments are those of :class:`FitTask`.
    """

    def __init__(self, *arguments: Any, lesson: Lesson, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.lesson = lesson
        layers = lesson.student_layers
        self._capture = Capture(self.net, layers, "distillation.student_layers") if layers else None
        # Number and sample order of the current epoch; current step and the number of its samples seen.
        self._permutation: tuple[int, Tensor] = (-1, torch.empty(0, dtype=torch.int64))
        self._seen = (-1, 0)

    @property
    def beside(self) -> nn.Module | None:
        return self.lesson.learned

    def on_fit_start(self) -> None:
        # Before the optimiser's state is loaded onto the parameters.
        self._take_along()

    def configure_optimizers(self) -> Any:
        self._take_along()
        return super().configure_optimizers()

    def _take_along(self) -> None:
        """Moves the unregistered modules to the student's device, and the projections to its precision too."""
        one = next(self.net.parameters())
        if self.lesson.kept is None:
            self.lesson.teachers.to(one.device)
        if self.lesson.learned is not None:
            self.lesson.learned.to(one.device, one.dtype)

    def batch_loss(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss of a raw batch, to be differentiated, and its detached score sum."""
        method = self.lesson.method
        if self.augment is not None:
            inputs = self.augment(inputs)
        mixed = mixup(inputs, method.mixup) if method.mixup else None
        if mixed is not None:
            inputs = mixed.inputs
        outputs = self.net(self.input_stage(inputs))
        features = self._capture.take() if self._capture is not None else []
        loss = self._own_loss(outputs, targets, mixed) if method.alpha else None
        if method.weight:
            rows = self._rows(len(targets)) if method.needs_rows or self.lesson.kept is not None else None
            taught = self._taught(inputs, targets, rows)
            term = self._term(outputs, features, taught, targets, rows)
            # One operation for product and sum: on a small net each scalar operation is a hundredth of a step.
            loss = torch.add(loss, term, alpha=method.scale) if loss is not None else method.scale * term
        assert loss is not None, "a method weighs labels or teacher, or both"
        return loss, self.own_score(outputs, targets)

    def _own_loss(self, outputs: Tensor, targets: Tensor, mixed: Mixed | None) -> Tensor:
        """The loss on the labels."""
        loss, alpha = self.own_loss(outputs, targets), self.lesson.method.alpha
        if mixed is not None:
            other = self.own_loss(outputs, targets.index_select(0, mixed.partner))
            loss = mixed.share * loss + (1 - mixed.share) * other
        return loss if alpha == 1 else alpha * loss

    def _term(
        self, outputs: Tensor, features: list[Tensor], taught: Outputs, targets: Tensor, rows: Tensor | None
    ) -> Tensor:
        method, learned = self.lesson.method, self.lesson.learned
        logits = _wide(outputs)
        if method.needs_classes:
            logits = two_class_logits(logits)
        student = Outputs(logits, [_wide(f) for f in features], rows)
        # Teachers predict in the units of the targets, whatever standardisation they were trained with.
        said = self.output_stage.standardised(taught.logits) if self.standardises else taught.logits
        teacher = Outputs(_as(said, logits), [_as(f, logits) for f in taught.features])
        return method.term(student, teacher, targets, list(learned) if learned is not None else ())

    def _taught(self, inputs: Tensor, targets: Tensor, rows: Tensor | None) -> Outputs:
        """The teachers' outputs for the batch: from the cache by sample indices, or computed."""
        kept = self.lesson.kept
        if kept is not None:
            assert rows is not None
            return kept.rows(rows)
        return prepared_outputs(self.lesson.method, self.lesson.teachers(inputs), targets)

    def _rows(self, n: int) -> Tensor:
        """Indices of the next ``n`` samples of the current step, determined by seed and position."""
        position = self.position
        assert self.order is not None
        if self._permutation[0] != position.epoch:
            self._permutation = (position.epoch, self.order.permutation(position.epoch).to(self.device))
        # A batch that is split to save memory comes here in parts, in order; and again for an optimiser's closure.
        first, end = self.order.bounds(position.step)
        seen = self._seen[1] if self._seen[0] == self.steps_done else 0
        seen = 0 if first + seen >= end else seen
        self._seen = (self.steps_done, seen + n)
        return self._permutation[1][first + seen : first + seen + n]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        learned = self.lesson.learned
        checkpoint["bmx"]["learned"] = dict(learned.state_dict()) if learned is not None else {}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        if self.lesson.learned is not None:
            self.lesson.learned.load_state_dict(checkpoint["bmx"]["learned"])


def prepared_outputs(method: Distillation, outputs: Outputs, targets: Tensor) -> Outputs:
    """The teachers' outputs in the form a method needs; a single logit becomes an equivalent pair of logits."""
    logits = _wide(outputs.logits)
    if method.needs_classes:
        logits = two_class_logits(logits)
    return method.prepare(Outputs(logits, outputs.features), targets)


def _wide(values: Tensor) -> Tensor:
    """At least float32: half precision is too coarse for the logarithms of small probabilities."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


def _as(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like.device, like.dtype)
