"""Measures a predictor on a set: the one ruler behind every accuracy that bmx prints.

The final test of a training run, ``bmx evaluate`` and every before/after table go through :func:`evaluate`, with the
same batches, so that the same weights give the same digits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bmx.data.arrays import Arrays
from bmx.data.pipeline.batches import BatchOrder
from bmx.data.pipeline.loading import Reader, reader_for
from bmx.data.spec import DataSpec
from bmx.engine.device import Device
from bmx.runs.confusion import Confusion
from bmx.tasks.losses import objective_for, two_class_logits

Predict = Callable[[Tensor], Tensor]

# Samples of a test batch. Fixed, so that a number does not depend on the batch size of the training.
BATCH_SIZE = 500
# Logits of a test batch, 64 MB: of very many classes fewer samples are taken at once.
_LOGITS = 16 << 20


def batch_size_for(spec: DataSpec) -> int:
    """Samples of a test batch of these data."""
    return max(1, min(BATCH_SIZE, _LOGITS // max(1, spec.num_classes)))


@dataclass(frozen=True)
class Evaluation:
    """What was measured on one set.

    Attributes:
        metrics: ``loss`` and, for classification, ``accuracy``, macro ``precision``, ``recall``, ``f1``; for
            regression ``rmse``, ``mae``, ``r2``.
        n: samples.
        confusion: which class was taken for which; None for regression.
        predicted: class numbers (N,), or predictions (N,) for regression.
        probability: of the predicted class (N,); empty for regression.
        losses: of each sample (N,).
    """

    metrics: dict[str, float]
    n: int
    confusion: Confusion | None
    predicted: Tensor
    probability: Tensor
    losses: Tensor


@torch.inference_mode()
def evaluate(
    predict: Predict, arrays: Arrays, spec: DataSpec, device: Device, reader: Reader | None = None
) -> Evaluation:
    """Measures ``predict`` on every sample of ``arrays``.

    Args:
        predict: from a raw batch on the device to logits (N, K) or predictions (N, 1); in eval mode.
        arrays: the samples and their targets.
        spec: says which task it is.
        device: where to compute and in what precision.
        reader: gives the batches instead of ``arrays`` itself, in order.
    """
    objective = objective_for(spec)
    batches = reader or reader_for(arrays, BatchOrder(len(arrays), batch_size_for(spec), shuffle=False), device.where)
    losses, predicted, probability = [], [], []
    with device.autocast():
        for inputs, targets in batches.epoch(0):
            outputs = predict(inputs).float()
            losses.append(objective.loss_per_sample(outputs, targets).cpu())
            if spec.task == "classification":
                top = two_class_logits(outputs).softmax(1).max(1)
                predicted.append(top.indices.cpu())
                probability.append(top.values.cpu())
            else:
                predicted.append(outputs.squeeze(1).cpu())
    all_losses, all_predicted = torch.cat(losses), torch.cat(predicted)
    metrics = {"loss": float(all_losses.double().mean())}
    confusion = None
    if spec.task == "classification":
        confusion = Confusion.counted(arrays.targets.cpu().numpy(), all_predicted.numpy(), spec.num_classes)
        metrics |= _classification_metrics(confusion)
    else:
        metrics |= _regression_metrics(all_predicted.double(), arrays.targets.double())
    return Evaluation(
        metrics,
        len(arrays),
        confusion,
        all_predicted,
        torch.cat(probability) if probability else torch.empty(0),
        all_losses,
    )


def _classification_metrics(confusion: Confusion) -> dict[str, float]:
    """Accuracy and macro averages over the classes that occur; a class never predicted has precision 0."""
    hits, true, guessed = (
        torch.from_numpy(counts).double() for counts in (confusion.right(), confusion.samples(), confusion.guesses())
    )
    occurs = (true + guessed) > 0
    precision = torch.where(guessed > 0, hits / guessed.clamp(min=1), 0.0)
    recall = torch.where(true > 0, hits / true.clamp(min=1), 0.0)
    f1 = 2 * hits / (true + guessed).clamp(min=1)
    return {
        "accuracy": float(hits.sum() / true.sum()),
        "precision": float(precision[occurs].mean()),
        "recall": float(recall[occurs].mean()),
        "f1": float(f1[occurs].mean()),
    }


def _regression_metrics(predicted: Tensor, targets: Tensor) -> dict[str, float]:
    errors = predicted - targets.cpu()
    spread = (targets - targets.mean()).square().sum()
    return {
        "rmse": float(errors.square().mean().sqrt()),
        "mae": float(errors.abs().mean()),
        "r2": float(1 - errors.square().sum() / spread) if spread > 0 else float("nan"),
    }
