"""Validates the values of a data set in one pass, and reports problems by split, row and column.

The findings on a large set are cached by its fingerprint.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import torch

from bmx.data.arrays import Source
from bmx.data.pipeline.cache import cache_folder
from bmx.data.pipeline.input_values import check_inputs
from bmx.data.pipeline.problems import SPLITS, Problems, absent, class_name, tell_targets

# Bytes from which findings are cached.
LARGE = 64 << 20
_VERSION = 1


def check_values(source: Source, fingerprint: str, where: str) -> tuple[str, ...]:
    """Validates the values of a source; returns warnings, and raises an error on invalid values.

    Args:
        source: as :func:`bmx.data.pipeline.form.sound_form` returns it.
        fingerprint: of its contents.
        where: its name, for messages.

    Raises:
        UsageError: values that are not finite, classes or tokens that do not exist, a single class, empty sequences,
            features that cannot be normalised; with the number of each and the first of them.
    """
    problems = Problems()
    _check_targets(source, problems)
    kept = cache_folder() / "checked" / f"{source.spec.name}-{fingerprint}-{_VERSION}.json"
    notes = _read(kept) if _size(source) >= LARGE else None
    if notes is None:
        of_targets, problems.notes = problems.notes, []
        check_inputs(source, problems)
        problems.check(where)
        notes, problems.notes = problems.notes, of_targets
        if _size(source) >= LARGE:
            with suppress(OSError):
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(json.dumps(notes), encoding="utf-8")
    problems.check(where)
    return (*notes, *problems.notes)


def _read(kept: Path) -> list[str] | None:
    with suppress(OSError, ValueError):
        notes = json.loads(kept.read_text(encoding="utf-8"))
        if isinstance(notes, list) and all(isinstance(note, str) for note in notes):
            return notes
    return None


def _size(source: Source) -> int:
    return sum(part.inputs.numel() * part.inputs.dtype.itemsize for part in (source.train, source.test))


def _check_targets(source: Source, problems: Problems) -> None:
    spec = source.spec
    for split, arrays in zip(SPLITS, (source.train, source.test), strict=True):
        targets = arrays.targets
        if spec.task == "regression":
            bad, what = ~torch.isfinite(targets), "not a finite number"
        else:
            bad, what = (targets < 0) | (targets >= spec.num_classes), f"no class from 0 to {spec.num_classes - 1}"
        if bad.any():
            tell_targets(bad, targets, split, what, problems)
    if problems.found:
        return
    train = source.train.targets
    if spec.task == "regression":
        if bool((train == train[0]).all()):
            problems.notes.append(f"every training target is {float(train[0]):g}: there is nothing to learn from them")
        return
    present = torch.bincount(train.cpu(), minlength=spec.num_classes) > 0
    if int(present.sum()) == 1:
        only = class_name(spec, int(train[0]))
        problems.add(f"every training target is class {only}: one class cannot be told from others", "give two or more")
    elif not present.all():
        problems.notes.append(absent(spec, present, "without a training sample"))
