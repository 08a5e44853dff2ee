"""Prepares the training, validation and test sets of a run from a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from bmx.data.arrays import Arrays, Source
from bmx.data.pipeline.fingerprint import marks
from bmx.data.pipeline.form import sound_form
from bmx.data.pipeline.soundness import check_values
from bmx.data.pipeline.split import hold_out
from bmx.data.spec import DataSpec
from bmx.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class DataSet:
    """Training, validation and test sets of one spec; ``val`` is None where nothing is held out.

    ``notes`` are warnings about the data; ``marks`` are the hashes of the source, see :func:`.fingerprint.marks`.
    """

    train: Arrays
    val: Arrays | None
    test: Arrays
    spec: DataSpec
    fingerprint: str
    notes: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


def prepare(
    source: Source, val_size: float = 0.1, seed: int = 0, leave_out: Sequence[int | str] = (), where: str = ""
) -> DataSet:
    """Validates a source and holds a validation set out of its training set; the test set does not change.

    Args:
        source: the result of a source function.
        val_size: a count or a fraction of the training set; 0 holds nothing out.
        seed: decides which samples are held out.
        leave_out: classes, by number or label, to exclude from training and validation.
        where: name of the source in messages; by default its option of ``data``.

    Raises:
        UsageError: an invalid ``val_size``, a class that does not exist, a source without training or test samples, or
            with invalid values.
    """
    where = where or f"data={source.spec.name}"
    source = sound_form(source, where)
    found = marks(source)
    notes = check_values(source, found[-1], where)
    if leave_out:
        source = replace(source, train=_without(source, leave_out))
    kept, held_out = hold_out(source.train.targets, val_size, seed, leave_one=True)
    if not len(held_out):
        return DataSet(source.train, None, source.test, source.spec, found[-1], notes, found)
    kept_of, held_of = source.train.select(kept), source.train.select(held_out)
    return DataSet(kept_of, held_of, source.test, source.spec, found[-1], notes, found)


def _without(source: Source, leave_out: Sequence[int | str]) -> Arrays:
    """The training samples of the other classes."""
    targets, numbers = source.train.targets, class_numbers(source.spec, leave_out)
    kept = (~torch.isin(targets, torch.tensor(numbers))).nonzero().squeeze(1)
    if len(targets[kept].unique()) < 2:
        left = "of one class only" if len(kept) else "left"
        what = f"no training sample is {left}" if not len(kept) else f"the training samples that stay are {left}"
        raise UsageError(what, f"data.leave_out={list(leave_out)}", "leave out fewer classes")
    return source.train.select(kept)


def class_numbers(spec: DataSpec, classes: Sequence[int | str]) -> list[int]:
    """The numbers of classes named by number or label.

    Raises:
        UsageError: a class that does not exist, or data without classes.
    """
    where = f"data.leave_out={list(classes)}"
    found = []
    for one in classes:
        named = str(one)
        if isinstance(one, int) and 0 <= one < spec.num_classes:
            found.append(one)
        elif named in spec.labels:
            found.append(spec.labels.index(named))
        elif named.isdigit() and int(named) < spec.num_classes:
            found.append(int(named))
        elif not spec.num_classes:
            raise UsageError(f"{spec.name} has no classes", where, "leave it out")
        else:
            fix = did_you_mean(str(one), spec.labels or map(str, range(spec.num_classes)))
            raise UsageError(f"{spec.name} has no class {one!r}", where, fix)
    return found
