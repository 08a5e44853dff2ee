"""Evaluates a predictor on a data set: the metrics behind every accuracy that bmx prints.

The final test of a training run, ``bmx evaluate`` and every before/after table use :func:`evaluate`, with the same
batches, so that the same weights give the same digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor

from bmx.data.arrays import Arrays
from bmx.data.pipeline.batches import BatchOrder
from bmx.data.pipeline.loading import Reader, reader_for
from bmx.data.spec import DataSpec
from bmx.engine.device import Device
from bmx.metrics.metric import Metric, OfCounts
from bmx.metrics.standard import LOSS, standard
from bmx.runs.confusion import Confusion
from bmx.tasks.losses import objective_for, two_class_logits

Predict = Callable[[Tensor], Tensor]

# Samples of a test batch. Fixed, so that a number does not depend on the batch size of the training.
BATCH_SIZE = 500
# Logits of a test batch, 64 MB: with very many classes batches are smaller.
_LOGITS = 16 << 20


def batch_size_for(spec: DataSpec) -> int:
    """Batch size of an evaluation on these data."""
    return max(1, min(BATCH_SIZE, _LOGITS // max(1, spec.num_classes)))


@dataclass(frozen=True)
class Evaluation:
    """Results of an evaluation on one data set.

    Attributes:
        metrics: ``loss``, the standard metrics of the task, and the additional ones requested, by name.
        n: number of samples.
        confusion: the confusion matrix; None for regression.
        predicted: class numbers (N,), or predictions (N,) for regression.
        probability: of the predicted class (N,); empty for regression.
        losses: loss of each sample (N,).
    """

    metrics: dict[str, float]
    n: int
    confusion: Confusion | None
    predicted: Tensor
    probability: Tensor
    losses: Tensor


@torch.inference_mode()
def evaluate(
    predict: Predict,
    arrays: Arrays,
    spec: DataSpec,
    device: Device,
    reader: Reader | None = None,
    more: Sequence[Metric] = (),
) -> Evaluation:
    """Evaluates ``predict`` on every sample of ``arrays``.

    Args:
        predict: maps a raw batch on the device to logits (N, K) or predictions (N, 1); in eval mode.
        arrays: the samples and their targets.
        spec: of the data; names the task.
        device: where to compute and in what precision.
        reader: yields the batches in order, instead of ``arrays`` itself.
        more: metrics besides the standard ones of the task.
    """
    objective = objective_for(spec)
    batches = reader or reader_for(arrays, BatchOrder(len(arrays), batch_size_for(spec), shuffle=False), device.where)
    measures = [*standard(spec.task), *more]
    # Logits of all samples are kept only where a metric needs them: with many classes they fill the memory.
    keeps = spec.task == "classification" and not all(map(_counts, measures))
    losses, predicted, probability, logits = [], [], [], []
    with device.autocast():
        for inputs, targets in batches.epoch(0):
            outputs = predict(inputs).float()
            losses.append(objective.loss_per_sample(outputs, targets).cpu())
            if spec.task == "classification":
                outputs = two_class_logits(outputs)
                top = outputs.softmax(1).max(1)
                predicted.append(top.indices.cpu())
                probability.append(top.values.cpu())
                if keeps:
                    logits.append(outputs.cpu())
            else:
                predicted.append(outputs.squeeze(1).cpu())
    all_losses, all_predicted = torch.cat(losses), torch.cat(predicted)
    confusion, targets = None, arrays.targets.cpu()
    if spec.task == "classification":
        confusion = Confusion.counted(targets.numpy(), all_predicted.numpy(), spec.num_classes)
        found = _of_classes(measures, confusion, torch.cat(logits) if logits else None, targets)
    else:
        found = {metric.name: metric(all_predicted.double(), targets.double()) for metric in measures}
    return Evaluation(
        {LOSS.name: float(all_losses.double().mean())} | found,
        len(arrays),
        confusion,
        all_predicted,
        torch.cat(probability) if probability else torch.empty(0),
        all_losses,
    )


def _counts(metric: Metric) -> TypeGuard[OfCounts]:
    """Whether a metric needs class counts only; one that overrides ``__call__`` needs its arguments."""
    return isinstance(metric, OfCounts) and type(metric).__call__ is OfCounts.__call__


def _of_classes(
    measures: Sequence[Metric], confusion: Confusion, logits: Tensor | None, targets: Tensor
) -> dict[str, float]:
    """Classification metrics: from the class counts where these are enough, else from logits."""
    right, samples, guesses = (
        torch.from_numpy(counts).double() for counts in (confusion.right(), confusion.samples(), confusion.guesses())
    )
    found = {}
    for metric in measures:
        if _counts(metric):
            found[metric.name] = metric.of_counts(right, samples, guesses)
        else:
            assert logits is not None, "they are kept where a metric asks for them"
            found[metric.name] = metric(logits, targets)
    return found
