"""Collects the misclassified samples of an evaluation, or those of largest error, for reports."""

from __future__ import annotations

import torch
from torch import Tensor

from bmx.data.arrays import Arrays
from bmx.data.spec import DataSpec
from bmx.engine.evaluation import Evaluation
from bmx.runs.mistake import Mistake

# Samples in the plot. For regression every prediction is a little wrong.
_WORST = 36


def wrong_answers(evaluation: Evaluation, arrays: Arrays, spec: DataSpec) -> Tensor:
    """Indices of the wrong predictions of an evaluation, largest loss first; int64 (M,)."""
    if spec.task == "regression":
        wrong = torch.arange(evaluation.n)
    else:
        wrong = (evaluation.predicted != arrays.targets.cpu()).nonzero().squeeze(1)
    # A NaN loss ranks as the worst.
    return wrong[evaluation.losses[wrong].nan_to_num(nan=torch.inf).argsort(descending=True, stable=True)]


def mistakes(evaluation: Evaluation, arrays: Arrays, spec: DataSpec) -> tuple[list[Mistake], int]:
    """The wrong predictions of largest loss, each with its input as an image or a line of text; how many are wrong."""
    every = wrong_answers(evaluation, arrays, spec)
    wrong, targets = every[:_WORST], arrays.targets.cpu()
    count = len(wrong) if spec.task == "regression" else len(every)
    return [_mistake(int(i), evaluation, arrays, targets, spec) for i in wrong], count


def _mistake(i: int, evaluation: Evaluation, arrays: Arrays, targets: Tensor, spec: DataSpec) -> Mistake:
    predicted, target = evaluation.predicted[i].item(), targets[i].item()
    sure = float(evaluation.probability[i]) if spec.task == "classification" else None
    shown = spec.form.show(arrays.inputs[i].cpu(), spec)
    return Mistake(i, shown, _label(target, spec), _label(predicted, spec), sure, float(evaluation.losses[i]))


def _label(value: float, spec: DataSpec) -> int | float | str:
    if spec.task == "regression":
        return float(value)
    return spec.labels[int(value)] if spec.labels else int(value)
