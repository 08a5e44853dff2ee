"""The same sample for a net that was made for other shapes: channels repeated or joined, images resized."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from bmx.data.spec import DataSpec
from bmx.errors import UsageError

# How bright red, green and blue look (ITU-R BT.601), as for the "L" images of Pillow.
_LUMA = (0.299, 0.587, 0.114)


def view(raw: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Raw images (N, C, H, W) as images of another shape (C, H, W); others are returned as they are.

    One channel is repeated, three are joined to their brightness, and the size is changed by bilinear interpolation
    with antialiasing. What is not changed keeps its dtype; what is computed with becomes floating.
    """
    if tuple(raw.shape[1:]) == shape or raw.ndim != 4:
        return raw
    if raw.shape[1] != shape[0]:
        if raw.shape[1] == 1:
            raw = raw.expand(-1, shape[0], -1, -1)
        else:
            floating = raw if raw.is_floating_point() else raw.float()
            raw = (floating * floating.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    if tuple(raw.shape[2:]) != shape[1:]:
        floating = raw if raw.is_floating_point() else raw.float()
        raw = F.interpolate(floating, size=shape[1:], mode="bilinear", antialias=True)
    return raw


def check_view(teacher: DataSpec, data: DataSpec, where: str) -> None:
    """Refuses a teacher that cannot be shown these data.

    Raises:
        UsageError: other classes, another kind of data, another vocabulary or a shape that has no meaning here.
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
    images = teacher.kind == data.kind == "image"
    channels = {teacher.channels, data.channels}
    same = teacher.kind == data.kind and teacher.input_shape == data.input_shape
    if not (same or (images and (len(channels) == 1 or channels == {1, 3}))):
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
