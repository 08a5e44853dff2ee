"""From a source to the three parts that a run uses."""

from __future__ import annotations

from dataclasses import dataclass

from bmx.data.arrays import Arrays, Source
from bmx.data.fingerprint import fingerprint
from bmx.data.spec import DataSpec
from bmx.data.split import hold_out
from bmx.errors import UsageError


@dataclass(frozen=True)
class DataSet:
    """Training, validation and test samples of one spec; ``val`` is None where nothing is held out."""

    train: Arrays
    val: Arrays | None
    test: Arrays
    spec: DataSpec
    fingerprint: str


def prepare(source: Source, val_size: float = 0.1, seed: int = 0) -> DataSet:
    """Hold the validation samples out of the training set; the test set is passed on untouched.

    Args:
        source: what a source function returned.
        val_size: a count or a fraction of the training set; 0 holds nothing out.
        seed: decides which samples are held out.

    Raises:
        UsageError: a ``val_size`` that cannot be, or a source without training or test samples.
    """
    for part, arrays in (("training", source.train), ("test", source.test)):
        if not len(arrays):
            raise UsageError(f"the {part} set of '{source.spec.name}' is empty", f"data={source.spec.name}")
    mark = fingerprint(source)
    kept, held_out = hold_out(source.train.targets, val_size, seed)
    if not len(held_out):
        return DataSet(source.train, None, source.test, source.spec, mark)
    return DataSet(source.train.select(kept), source.train.select(held_out), source.test, source.spec, mark)
