"""Validates input values: finite, valid for their kind of data, and possible to normalise.

Whole columns are checked, chunk by chunk; single values only where a column fails. uint8 pixels cannot be invalid, and
are read only until no channel can be constant.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bmx.data.arrays import Source
from bmx.data.pipeline.chunks import chunks
from bmx.data.pipeline.problems import EXAMPLES, SPLITS, Problems, more
from bmx.data.pipeline.rows import FileRows
from bmx.data.spec import DataSpec

# A feature whose training range is smaller, or whose test range is further off in units of it, cannot be normalised in
# float32.
_LEAST_SPAN, _MOST_SPANS = 1e-30, 1e30


def check_inputs(source: Source, problems: Problems) -> None:
    """Checks the inputs of both splits."""
    spec = source.spec
    for split, arrays in zip(SPLITS, (source.train, source.test), strict=True):
        spec.form.check_values(arrays.inputs, spec, split, problems)
    if spec.form.ids:
        return
    if source.train.inputs.dtype == source.test.inputs.dtype == torch.uint8:
        low, high = _extremes(source.train.inputs, until_all_vary=True)
        _note_constant(spec, high == low, problems)
        return
    seen: list[tuple[Tensor, Tensor]] = []
    for split, arrays in zip(SPLITS, (source.train, source.test), strict=True):
        low, high = _extremes(arrays.inputs)
        seen.append((low, high))
        bad = ~(torch.isfinite(low) & torch.isfinite(high))
        if bad.any():
            _tell_values(arrays.inputs, spec, split, problems)
    if not problems.found:
        _check_spans(spec, seen[0], seen[1], problems)


def _extremes(inputs: Tensor | FileRows, until_all_vary: bool = False) -> tuple[Tensor, Tensor]:
    """Minimum and maximum of each feature or channel, float64; NaN where there is one."""
    others = [dim for dim in range(inputs.ndim) if dim != 1]
    low = torch.full((inputs.shape[1],), math.inf, dtype=torch.float64)
    high = -low
    for _, chunk in chunks(inputs):
        values = chunk.to(torch.uint8) if chunk.dtype == torch.bool else chunk
        low = torch.minimum(low, values.amin(others).cpu().double())
        high = torch.maximum(high, values.amax(others).cpu().double())
        if until_all_vary and bool((low < high).all()):
            break
    return low, high


def _tell_values(inputs: Tensor | FileRows, spec: DataSpec, split: str, problems: Problems) -> None:
    count, rows = 0, 0
    said: list[str] = []
    for first, chunk in chunks(inputs):
        bad = ~torch.isfinite(chunk)
        if not bad.any():
            continue
        places = bad.nonzero()
        count, rows = count + len(places), rows + int(bad.flatten(1).any(1).sum())
        for place in places[: EXAMPLES - len(said)].tolist():
            at = f"{', '.join(spec.form.axes)} {place[1] if len(place) == 2 else place[1:]}"
            said.append(f"row {first + place[0]}, {at}: {float(chunk[tuple(place)]):g}")
    file = f" of {inputs.path}" if isinstance(inputs, FileRows) else ""
    values = "value is not a finite number" if count == 1 else "values are not finite numbers"
    told = "; ".join(said)
    problems.add(
        f"{count:,} {split} {values}, in {rows:,} of {len(inputs):,} rows{file} ({told}{more(count)}, counted from 0)",
        "fill them in, or leave these rows or columns out",
    )


def _check_spans(spec: DataSpec, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], problems: Problems) -> None:
    span = train[1] - train[0]
    _note_constant(spec, span == 0, problems)
    narrow = (span > 0) & (span < _LEAST_SPAN)
    noun = spec.form.axes[0]
    if narrow.any():
        one = int(narrow.nonzero()[0])
        what = f"{noun} {one} of the training set varies by {float(span[one]):.2g} only"
        problems.add(f"{what}, too little to normalise in 32 bits", "give it in other units, or leave it out")
    reach = torch.maximum((test[0] - train[0]).abs(), (test[1] - train[1]).abs())
    far = (span > 0) & ~narrow & (reach / torch.where(span > 0, span, 1.0) > _MOST_SPANS)
    if far.any():
        one = int(far.nonzero()[0])
        what = f"{noun} {one} of the test set reaches {float(reach[one]):.2g} beyond the training set"
        problems.add(f"{what}, which varies by {float(span[one]):.2g}", "look at the units of both")


def _note_constant(spec: DataSpec, constant: Tensor, problems: Problems) -> None:
    numbers = constant.nonzero().flatten().tolist()
    if numbers:
        noun = spec.form.axes[0]
        named = ", ".join(map(str, numbers[:EXAMPLES])) + more(len(numbers))
        plural = f"{noun} {named} of the training set never changes" if len(numbers) == 1 else (
            f"{len(numbers):,} {noun}s of the training set never change ({named})"
        )  # fmt: skip
        problems.notes.append(f"{plural}: a model learns nothing from it")
