"""From measured outputs to what a report shows: the samples that were answered wrongly."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bmx.data.arrays import Arrays
from bmx.data.spec import DataSpec
from bmx.engine.evaluation import Evaluation
from bmx.runs.mistake import Mistake

# For regression every answer is a little wrong; the sheet shows this many of the worst.
_WORST = 36


def mistakes(evaluation: Evaluation, arrays: Arrays, spec: DataSpec) -> list[Mistake]:
    """The wrong answers of an evaluation, each with its input as a picture or a line of text."""
    targets = arrays.targets.cpu()
    if spec.task == "regression":
        wrong = evaluation.losses.topk(min(_WORST, evaluation.n)).indices
    else:
        wrong = (evaluation.predicted != targets).nonzero().squeeze(1)
    return [_mistake(int(i), evaluation, arrays, targets, spec) for i in wrong]


def _mistake(i: int, evaluation: Evaluation, arrays: Arrays, targets: Tensor, spec: DataSpec) -> Mistake:
    predicted, target = evaluation.predicted[i].item(), targets[i].item()
    sure = float(evaluation.probability[i]) if spec.task == "classification" else None
    shown = show(arrays.inputs[i].cpu(), spec)
    return Mistake(i, shown, _label(target, spec), _label(predicted, spec), sure, float(evaluation.losses[i]))


def _label(value: float, spec: DataSpec) -> int | float | str:
    if spec.task == "regression":
        return float(value)
    return spec.labels[int(value)] if spec.labels else int(value)


def show(raw: Tensor, spec: DataSpec) -> Any:
    """One raw sample as a person would want to see it: uint8 array (H, W, C), or text."""
    if spec.kind == "image":
        if raw.dtype != torch.uint8:
            low, high = raw.min(), raw.max()
            raw = ((raw - low) / (high - low).clamp(min=1e-12) * 255).to(torch.uint8)
        return raw.permute(1, 2, 0).numpy()
    if spec.kind == "tokens":
        ids = [int(i) for i in raw if int(i) != spec.pad_id]
        return "".join(spec.vocabulary[i] for i in ids) if spec.vocabulary else " ".join(map(str, ids))
    return "  ".join(f"{value:.4g}" for value in raw.tolist()[:8]) + ("  …" if raw.numel() > 8 else "")
