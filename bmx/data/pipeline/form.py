"""Validates shapes and dtypes of data against their spec."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bmx.data.arrays import Arrays, Source
from bmx.data.pipeline.chunks import whole
from bmx.data.pipeline.problems import SPLITS, Problems, tell_targets
from bmx.data.pipeline.rows import FileRows
from bmx.data.spec import DataSpec


def sound_form(source: Source, where: str) -> Source:
    """Validates shapes and dtypes of a source and returns it with targets in the dtype of its task.

    Whole numbers of any dtype are class numbers, any real numbers are targets of a regression.

    Args:
        source: the result of a source function.
        where: its name, for messages.

    Raises:
        UsageError: an empty split, samples of another shape than in the spec, or unsupported dtypes.
    """
    problems, spec = Problems(), source.spec
    parts = {}
    for split, arrays in zip(SPLITS, (source.train, source.test), strict=True):
        if not len(arrays):
            problems.add(f"the {split} set of '{spec.name}' is empty", f"give it {split} samples")
            continue
        _check_shape(arrays, spec, split, problems)
        parts[split] = Arrays(_inputs(arrays.inputs, spec, split, problems), _targets(arrays, spec, split, problems))
    problems.check(where)
    train, test = parts[SPLITS[0]], parts[SPLITS[1]]
    same = all(
        new.inputs is old.inputs and new.targets is old.targets
        for new, old in ((train, source.train), (test, source.test))
    )
    return source if same else replace(source, train=train, test=test)


def _check_shape(arrays: Arrays, spec: DataSpec, split: str, problems: Problems) -> None:
    have, want = tuple(arrays.inputs.shape[1:]), tuple(spec.input_shape)
    if have == want:
        return
    what = f"the {split} samples have shape {_by(have)}, the spec of '{spec.name}' says input_shape {_by(want)}"
    problems.add(what, spec.form.shape_advice(have, want))


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "()"


def _inputs(inputs: Tensor | FileRows, spec: DataSpec, split: str, problems: Problems) -> Tensor | FileRows:
    if inputs.dtype.is_complex:
        problems.add(f"the {split} inputs are complex numbers", "give real and imaginary parts as features")
        return inputs
    return spec.form.in_form(inputs, split, problems)


def _targets(arrays: Arrays, spec: DataSpec, split: str, problems: Problems) -> Tensor:
    targets = arrays.targets
    if targets.dtype.is_complex:
        problems.add(f"the {split} targets are complex numbers", "give real ones")
        return targets
    if spec.task == "regression":
        return targets if targets.dtype == torch.float32 else targets.float()
    if not targets.dtype.is_floating_point:
        return targets.long()
    finite = torch.isfinite(targets)
    if not finite.all():
        tell_targets(~finite, targets, split, "not a number that a class could have", problems)
    fractional = finite & ~whole(targets)
    if fractional.any():
        tell_targets(fractional, targets, split, "a fraction, not a class number", problems)
    return targets.long() if not problems.found else targets
