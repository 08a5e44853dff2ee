"""Exports a model to a file of any format: checks availability, writes, and verifies the outputs."""

from __future__ import annotations

from pathlib import Path

from bmx.config.formats import formats
from bmx.data.arrays import Arrays
from bmx.engine.predictor import Predictor
from bmx.errors import UsageError, did_you_mean
from bmx.export.comparison import ExportComparison
from bmx.export.description import BESIDE, INSIDE, Description
from bmx.extras import need
from bmx.targets.entry_point import locate

PREPROCESSING = (INSIDE, BESIDE)


def check(format: str, preprocessing: str) -> None:
    """Checks that an export is possible.

    Raises:
        UsageError: an unknown option, or a package that is not installed.
    """
    if format not in formats():
        raise UsageError(f"no format '{format}'", f"format={format}", did_you_mean(format, formats()))
    if preprocessing not in PREPROCESSING:
        fix = did_you_mean(preprocessing, PREPROCESSING)
        raise UsageError(f"preprocessing cannot be '{preprocessing}'", f"preprocessing={preprocessing}", fix)
    if extra := formats()[format].extra:
        need(extra, f"format={format}")


def write(format: str, predictor: Predictor, description: Description, path: Path) -> None:
    """Writes a predictor to a file.

    Args:
        format: its name.
        predictor: the model; not modified.
        description: stored in the file; also sets whether the preprocessing is.
        path: the file, with the suffix of the format.

    Raises:
        RunFailed: the model cannot be written in this format.
    """
    locate(formats()[format].write)(predictor, description, path)


def require_same(
    format: str,
    compared: ExportComparison,
    predictor: Predictor,
    path: Path,
    arrays: Arrays,
    tolerance: float,
    target: str,
) -> str | None:
    """Checks that an exported file computes the same as its model; returns what it requires of a processor, or None.

    Args:
        format: its name.
        compared: the comparison of both.
        predictor: the model that was written.
        path: the file.
        arrays: the samples of the comparison.
        tolerance: see :meth:`ExportComparison.require`.
        target: the final name of the file.

    Raises:
        RunFailed: the outputs differ.
    """
    own = formats()[format].check
    if own:
        needs: str | None = locate(own)(compared, predictor, path, arrays, tolerance, target)
        return needs
    compared.require(tolerance, target)
    return None
