"""Compares teacher, student alone and distilled student: accuracy, agreement, calibration, latency."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bmx.data.pipeline.prepare import class_numbers
from bmx.data.pipeline.random_inputs import random_inputs
from bmx.distillation.teachers import Teacher, Teachers
from bmx.distillation.views import view
from bmx.engine.evaluation import BATCH_SIZE, Evaluation, evaluate
from bmx.engine.fit import best_file
from bmx.engine.predictor import Predictor, load_model
from bmx.engine.prepare import Prepared
from bmx.export.reading import load_predictor
from bmx.measure.calibration import calibration_error
from bmx.measure.cost import cost_of
from bmx.measure.latency import clock_for, interleave
from bmx.measure.significance import only_right
from bmx.runs.report import distillation as report

# Seconds of measuring per model and batch size.
_SECONDS = 0.2
_BATCHES = (1, 256)
# Range and step of the grid of bias shifts.
_SHIFT, _STEP = 15.0, 0.1


@dataclass(frozen=True)
class _Side:
    name: str
    role: str
    run: str | None
    models: list[Predictor]


def compare(
    prepared: Prepared, run_dir: Path, tested: Evaluation, files: list[Path], names: list[str], alone: Path | None
) -> dict[str, Any]:
    """Compares the distilled student with its teachers and with itself alone, for ``result.json``; draws it too.

    Args:
        prepared: the configuration of the student.
        run_dir: its run, with best.ckpt.
        tested: the distilled student on the test set.
        files: of the teachers' models.
        names: of the teachers.
        alone: the run of the student without a teacher, if it was made.
    """
    teachers = [load_predictor(file) for file in files]
    sides = [
        _Side(name, "teacher", str(file), [model]) for name, file, model in zip(names, files, teachers, strict=True)
    ]
    if len(teachers) > 1:
        sides.append(_Side("teachers together", "teacher", None, teachers))
    if alone is not None:
        sides.append(_Side("student alone", "alone", str(alone), [load_model(best_file(alone))]))
    sides.append(_Side("student distilled", "distilled", str(run_dir), [load_model(best_file(run_dir))]))
    found = {side.name: tested if side.role == "distilled" else _evaluate(side, prepared) for side in sides}
    guide = [side for side in sides if side.role == "teacher"][-1].name
    latency = _latency(sides, prepared)
    rows = [_row(side, found[side.name], found[guide], prepared) | latency[side.name] for side in sides]
    comparison: dict[str, Any] = {
        "method": str(prepared.cfg.distillation._target_).rpartition(".")[2],
        "n": len(prepared.data.test),
        "rows": rows,
    }
    if alone is not None and prepared.data.spec.task == "classification":
        pair = [found[side.name].predicted for side in sides if side.role != "teacher"]
        right = only_right(pair[0], pair[1], prepared.data.test.targets.cpu())
        comparison["only_right"] = dict(zip(("alone", "distilled"), right, strict=True))
    left_out = class_numbers(prepared.data.spec, prepared.cfg.data.get("leave_out") or ())
    if left_out:
        students = [side for side in sides if side.role != "teacher"]
        comparison["left_out"] = [_left_out(side, left_out, prepared) for side in students]
    if prepared.cfg.plots:
        report.draw(comparison, run_dir / "plots" / "distillation.png")
    return comparison


def _ask(side: _Side, prepared: Prepared) -> Teachers:
    """The predictors of a side as teachers: logits, averaged over several models, each with its own preprocessing."""
    asked = Teachers([Teacher(m.net, m.input_stage, m.spec, m.output_stage) for m in side.models])
    asked.to(prepared.device.where)
    return asked


def _evaluate(side: _Side, prepared: Prepared) -> Evaluation:
    asked = _ask(side, prepared)
    data = prepared.data
    return evaluate(lambda raw: asked(raw).logits, data.test, data.spec, prepared.device, more=prepared.measures)


def _row(side: _Side, own: Evaluation, guide: Evaluation, prepared: Prepared) -> dict[str, Any]:
    costs = [cost_of(m.net, _example(m, prepared.example())) for m in side.models]
    row: dict[str, Any] = {
        "name": side.name,
        "role": side.role,
        "run": side.run,
        "metrics": dict(own.metrics),
        "parameters": sum(cost.parameters for cost in costs),
        "macs": sum(cost.macs for cost in costs),
        "bytes": sum(cost.bytes for cost in costs),
    }
    if prepared.data.spec.task == "classification":
        correct = own.predicted == prepared.data.test.targets.cpu()
        row["errors"] = int((~correct).sum())
        row["agreement"] = float((own.predicted == guide.predicted).double().mean())
        row["calibration_error"] = calibration_error(own.probability, correct)
    return row


def _example(model: Predictor, raw: Tensor) -> Tensor:
    device = next(model.net.parameters()).device
    inputs: Tensor = model.input_stage.to(device)(view(raw.to(device), model.spec))
    return inputs


def _latency(sides: list[_Side], prepared: Prepared) -> dict[str, dict[str, Any]]:
    """Latency of a forward pass of each model's net in seconds, interleaved."""
    where = prepared.device.where
    found: dict[str, dict[str, Any]] = {side.name: {"latency": {}} for side in sides}
    for size in _BATCHES:
        calls, clocks = {}, {}
        for side in sides:
            pairs = []
            for model in side.models:
                model.to(where)
                floating = next(model.net.parameters())
                pairs.append((model.net, random_inputs(model.spec, size, floating.dtype).to(where)))
            calls[side.name] = partial(_forward, pairs)
            clocks[side.name] = clock_for(where)
        for name, latency in interleave(calls, _SECONDS, clocks).items():
            found[name]["latency"][str(size)] = latency.to_dict()
    return found


@torch.inference_mode()
def _forward(pairs: list[tuple[nn.Module, Tensor]]) -> None:
    for net, inputs in pairs:
        net(inputs)


@torch.inference_mode()
def _left_out(side: _Side, classes: list[int], prepared: Prepared) -> dict[str, Any]:
    """Test errors of a student, in all and on the classes it was never shown, as it is and with their biases raised.

    The shift minimises the errors on the test set itself, as in Hinton et al. 2015, section 3; the number shows what
    the student knows of the class, not how it would perform.
    """
    asked, test = _ask(side, prepared), prepared.data.test
    parts = []
    for first in range(0, len(test), BATCH_SIZE):
        inputs, _ = test.batch(torch.arange(first, min(first + BATCH_SIZE, len(test))))
        with prepared.device.autocast():
            parts.append(asked(inputs.to(prepared.device.where)).logits.float().cpu())
    logits, targets = torch.cat(parts), test.targets.cpu()
    mine = torch.isin(targets, torch.tensor(classes))
    best: dict[str, Any] = {}
    for step in range(round(_SHIFT / _STEP) + 1):
        shifted = logits.clone()
        shifted[:, classes] += step * _STEP
        right = shifted.argmax(1) == targets
        counts = {"errors": int((~right).sum()), "errors_left_out": int((~right & mine).sum())}
        if not step:
            plain = counts
        if not best or counts["errors"] < best["errors"]:
            best = {"shift": round(step * _STEP, 6), **counts}
    return {"name": side.name, "classes": classes, "n": int(mine.sum()), "as_is": plain, "shifted": best}
