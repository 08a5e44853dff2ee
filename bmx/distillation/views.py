"""Conversion of raw samples to the input shape that a teacher was trained on."""

from __future__ import annotations

from torch import Tensor

from bmx.data.spec import DataSpec
from bmx.errors import UsageError


def view(raw: Tensor, spec: DataSpec) -> Tensor:
    """Converts a raw batch (N, …) for a net trained on ``spec``; see :meth:`bmx.data.kinds.kind.Kind.view`."""
    return raw if tuple(raw.shape[1:]) == spec.input_shape else spec.form.view(raw, spec.input_shape)


def check_view(teacher: DataSpec, data: DataSpec, where: str) -> None:
    """Rejects a teacher whose input these data cannot be converted to.

    Raises:
        UsageError: other classes, another kind of data, another vocabulary or a shape without a conversion.
    """
    if teacher.num_classes != data.num_classes:
        raise UsageError(
            f"the teacher knows {_classes(teacher)}, the data have {_classes(data)}",
            f"{where}, data={data.name}",
            f"choose a teacher that was trained on {data.name}",
        )
    if teacher.labels and data.labels and teacher.labels != data.labels:
        raise UsageError(
            f"the teacher was trained on other classes: {_some(teacher.labels)} instead of {_some(data.labels)}",
            f"{where}, data={data.name}",
            f"choose a teacher that was trained on {data.name}",
        )
    if not (teacher.kind == data.kind and teacher.form.can_view(data.input_shape, teacher.input_shape)):
        shapes = [f"{s.kind} of {'×'.join(map(str, s.input_shape))}" for s in (teacher, data)]
        raise UsageError(
            f"the teacher takes {shapes[0]}, the data are {shapes[1]}",
            f"{where}, data={data.name}",
            "choose a teacher for this kind of data",
        )
    if teacher.vocabulary != data.vocabulary:
        fix = f"choose a teacher that was trained on {data.name} with the same data.* words"
        raise UsageError("the teacher was trained with another vocabulary", f"{where}, data={data.name}", fix)


def _classes(spec: DataSpec) -> str:
    return f"{spec.num_classes} classes ({spec.name})" if spec.num_classes else f"no classes ({spec.name})"


def _some(labels: tuple[str, ...]) -> str:
    return ", ".join(labels[:3]) + (" ..." if len(labels) > 3 else "")
