"""Whether data have the form that their spec says: shapes, and types that can be turned into what a model takes."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bmx.data.arrays import Arrays, Source
from bmx.data.pipeline.problems import SPLITS, Problems, tell_targets
from bmx.data.pipeline.rows import FileRows
from bmx.data.spec import DataSpec


def sound_form(source: Source, where: str) -> Source:
    """The source with targets of the type that its task has, once shapes and types are found to be what they must.

    Whole numbers of any type are class numbers, any real numbers are targets of a regression.

    Args:
        source: what a source function returned.
        where: names it, for messages.

    Raises:
        UsageError: an empty split, samples of another shape than the spec says, or types that mean nothing here.
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
    fix = "make them the same"
    if spec.kind == "image" and len(have) == 2:
        fix = "add the channel: images.unsqueeze(1)"
    elif spec.kind == "image" and len(have) == 3 and (have[2], *have[:2]) == want:
        fix = "put the channels first: images.permute(0, 3, 1, 2)"
    problems.add(
        f"the {split} samples have shape {_by(have)}, the spec of '{spec.name}' says input_shape {_by(want)}", fix
    )


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "()"


def _inputs(inputs: Tensor | FileRows, spec: DataSpec, split: str, problems: Problems) -> Tensor | FileRows:
    kind = inputs.dtype
    if kind.is_complex:
        problems.add(f"the {split} inputs are complex numbers", "give real and imaginary parts as features")
    elif spec.kind == "tokens" and (kind.is_floating_point or kind == torch.bool):
        if isinstance(inputs, FileRows) or not _whole(inputs).all():
            problems.add(
                f"the {split} tokens are {_name(kind)}, not ids", "give whole numbers from 0 to vocab_size - 1"
            )
        else:
            return inputs.long()
    return inputs


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
    fractional = finite & ~_whole(targets)
    if fractional.any():
        tell_targets(fractional, targets, split, "a fraction, not a class number", problems)
    return targets.long() if not problems.found else targets


def _whole(values: Tensor) -> Tensor:
    return torch.ones_like(values, dtype=torch.bool) if values.dtype == torch.bool else values == values.trunc()


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
