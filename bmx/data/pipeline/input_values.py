"""Inputs that cannot be right: values that are not finite, tokens that do not exist, features without a normal form.

Whole columns are looked at, chunk by chunk; single values only where a column gives reason to. Pixels in bytes cannot
be wrong, and are read no further than to know that no channel is constant.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from bmx.data.arrays import Source
from bmx.data.pipeline.problems import EXAMPLES, SPLITS, Problems, more
from bmx.data.pipeline.rows import FileRows
from bmx.data.spec import DataSpec

# Numbers that are looked at together: 16 MB of float32.
_CHUNK = 4 << 20
# A feature whose values differ by less, or by a factor of more, has no normal form in 32 bits.
_LEAST_SPAN, _MOST_SPANS = 1e-30, 1e30


def check_inputs(source: Source, problems: Problems) -> None:
    """Looks through the inputs of both splits."""
    if source.spec.kind == "tokens":
        for split, arrays in zip(SPLITS, (source.train, source.test), strict=True):
            _check_tokens(arrays.inputs, source.spec, split, problems)
        return
    if source.train.inputs.dtype == source.test.inputs.dtype == torch.uint8:
        low, high = _extremes(source.train.inputs, until_all_vary=True)
        _note_constant(source.spec, high == low, problems)
        return
    seen: list[tuple[Tensor, Tensor]] = []
    for split, arrays in zip(SPLITS, (source.train, source.test), strict=True):
        low, high = _extremes(arrays.inputs)
        seen.append((low, high))
        bad = ~(torch.isfinite(low) & torch.isfinite(high))
        if bad.any():
            _tell_values(arrays.inputs, split, problems)
    if not problems.found:
        _check_spans(source.spec, seen[0], seen[1], problems)


def _chunks(inputs: Tensor | FileRows) -> Iterator[tuple[int, Tensor]]:
    rows = max(1, _CHUNK // max(1, math.prod(inputs.shape[1:])))
    for number, chunk in enumerate(inputs.split(rows)):
        # What a model computes in: a number that 32 bits cannot hold is none.
        yield number * rows, chunk.float() if chunk.dtype == torch.float64 else chunk


def _extremes(inputs: Tensor | FileRows, until_all_vary: bool = False) -> tuple[Tensor, Tensor]:
    """Least and largest value of each feature or channel, float64; NaN where there is one."""
    others = [dim for dim in range(inputs.ndim) if dim != 1]
    low = torch.full((inputs.shape[1],), math.inf, dtype=torch.float64)
    high = -low
    for _, chunk in _chunks(inputs):
        values = chunk.to(torch.uint8) if chunk.dtype == torch.bool else chunk
        low = torch.minimum(low, values.amin(others).cpu().double())
        high = torch.maximum(high, values.amax(others).cpu().double())
        if until_all_vary and bool((low < high).all()):
            break
    return low, high


def _tell_values(inputs: Tensor | FileRows, split: str, problems: Problems) -> None:
    count, rows = 0, 0
    said: list[str] = []
    for first, chunk in _chunks(inputs):
        bad = ~torch.isfinite(chunk)
        if not bad.any():
            continue
        places = bad.nonzero()
        count, rows = count + len(places), rows + int(bad.flatten(1).any(1).sum())
        for place in places[: EXAMPLES - len(said)].tolist():
            at = f"column {place[1]}" if len(place) == 2 else f"channel, y, x {place[1:]}"
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
    noun = "channel" if spec.kind == "image" else "column"
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
        noun = "channel" if spec.kind == "image" else "column"
        named = ", ".join(map(str, numbers[:EXAMPLES])) + more(len(numbers))
        plural = f"{noun} {named} of the training set never changes" if len(numbers) == 1 else (
            f"{len(numbers):,} {noun}s of the training set never change ({named})"
        )  # fmt: skip
        problems.notes.append(f"{plural}: a model learns nothing from it")


def _check_tokens(inputs: Tensor | FileRows, spec: DataSpec, split: str, problems: Problems) -> None:
    outside, empty = 0, 0
    said: list[str] = []
    rows: list[str] = []
    for first, chunk in _chunks(inputs):
        low, high = int(chunk.min()), int(chunk.max())
        if low < 0 or high >= spec.vocab_size:
            places = ((chunk < 0) | (chunk >= spec.vocab_size)).nonzero()
            outside += len(places)
            for row, column in places[: EXAMPLES - len(said)].tolist():
                said.append(f"row {first + row}, position {column}: {int(chunk[row, column])}")
        blank = (chunk == spec.pad_id).all(1).nonzero().flatten().tolist()
        empty += len(blank)
        rows += [str(first + row) for row in blank[: EXAMPLES - len(rows)]]
    if outside:
        noun = "token is not" if outside == 1 else "tokens are not"
        what = f"{outside:,} {split} {noun} an id from 0 to {spec.vocab_size - 1} ({'; '.join(said)}{more(outside)}"
        problems.add(f"{what}, counted from 0)", "give vocab_size = the largest id + 1, or correct these rows")
    if empty:
        noun = "sequence is" if empty == 1 else "sequences are"
        what = f"{empty:,} {split} {noun} empty, nothing but padding (row {', '.join(rows)}{more(empty)}"
        problems.add(f"{what}, counted from 0)", "leave these rows out")
