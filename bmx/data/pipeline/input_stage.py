"""Input stage: normalisation and conversion of stored batches to model inputs, on the device of the batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bmx.data.arrays import Arrays
from bmx.data.pipeline.rows import FileRows
from bmx.data.spec import DataSpec

# Samples that are converted at once for the statistics: some megabytes for small images, which fit the CPU cache.
_CHUNK = 200


class InputStage(nn.Module):
    """Normalises images and tables by fixed statistics, ``x * scale + shift``, and widens token ids to int64.

    The statistics are buffers, so they travel in a checkpoint, and the result has their dtype: ``stage.double()`` or
    ``stage.to(torch.bfloat16)`` changes the dtype of the model's inputs. A new stage is the identity until
    :meth:`fitted` or a checkpoint sets its statistics.

    Args:
        spec: of the data; images get ``scale`` and ``shift`` of shape (C, 1, 1), table rows of shape (F,), ids none.
    """

    scale: Tensor | None
    shift: Tensor | None

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        shape = spec.form.statistics_shape(spec)
        self.register_buffer("scale", None if shape is None else torch.ones(shape))
        self.register_buffer("shift", None if shape is None else torch.zeros(shape))

    @classmethod
    def fitted(cls, spec: DataSpec, train: Arrays) -> InputStage:
        """Creates a stage that standardises the training samples to mean 0 and standard deviation 1.

        Per channel of an image, per feature of a table; a constant channel or feature is only shifted. Pass the
        training split alone, without the held-out samples.
        """
        stage = cls(spec)
        if stage.scale is not None and stage.shift is not None:
            mean, std = statistics(train.inputs)
            std = torch.where(std > 0, std, 1.0)
            stage.scale.copy_((1 / std).view_as(stage.scale))
            stage.shift.copy_((-mean / std).view_as(stage.shift))
        return stage

    def forward(self, x: Tensor) -> Tensor:
        # Looked up once: buffer access of a module is slow.
        scale, shift = self.scale, self.shift
        if scale is None or shift is None:
            return x.long()
        if x.dtype == scale.dtype:
            # Converting would return the caller's own tensor, which must not be modified.
            return torch.mul(x, scale).add_(shift)
        # Convert, then multiply and add in place: for uint8 images three times as fast as addcmul, which broadcasts
        # the statistics element by element.
        return x.to(scale.dtype).mul_(scale).add_(shift)


def statistics(inputs: Tensor | FileRows) -> tuple[Tensor, Tensor]:
    """Mean and (population) standard deviation along all but dimension 1, in float64, both of shape (C,) or (F,).

    uint8 is summed in integers, so the result is exact and the same for any number of threads. Memory is bounded:
    the samples are converted a few hundred at a time.
    """
    others = [dim for dim in range(inputs.ndim) if dim != 1]
    if inputs.dtype == torch.uint8:
        total = torch.zeros(inputs.shape[1], dtype=torch.int64)
        squares = torch.zeros_like(total)
        for chunk in inputs.split(_CHUNK):
            total += chunk.sum(others).cpu()
            wide = chunk.to(torch.int32)
            squares += wide.mul_(wide).sum(others).cpu()
        count = inputs.numel() // inputs.shape[1]
        mean = total.double() / count
        # Integers of any size: 255² times all pixels times their number leaves int64 soon.
        spread = [count * int(q) - int(s) ** 2 for s, q in zip(total.tolist(), squares.tolist(), strict=True)]
        return mean, torch.tensor([max(s, 0) ** 0.5 / count for s in spread], dtype=torch.float64)
    # Two passes: subtracting the mean first keeps features with a large offset exact enough.
    count = inputs.numel() // inputs.shape[1]
    total_f = torch.zeros(inputs.shape[1], dtype=torch.float64)
    for chunk in inputs.split(_CHUNK):
        total_f += chunk.double().sum(others).cpu()
    mean = total_f / count
    squares_f = torch.zeros_like(total_f)
    centre = mean.view(-1, *[1] * (inputs.ndim - 2)).to(inputs.device)
    for chunk in inputs.split(_CHUNK):
        squares_f += (chunk.double() - centre).square().sum(others).cpu()
    # A constant column leaves a rounding error, which must not be scaled to a standard deviation of 1.
    std = (squares_f / count).sqrt()
    return mean, torch.where(std > 1e-12 * mean.abs(), std, 0.0)
