"""A model as a file of any format: whether it can be written here, how it is, and whether it is the same model."""

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
    """Finds out whether an export can be made here.

    Raises:
        UsageError: an unknown word, or a package that is not installed.
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
        predictor: stays as it is.
        description: goes into the file; says whether the preprocessing does too.
        path: the file, whose name ends as those of the format do.

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
    """Makes sure that a file is the model that was written to it; says what it needs of a processor, if anything.

    Args:
        format: its name.
        compared: the answers of both.
        predictor: what was written.
        path: the file.
        arrays: the samples of the comparison.
        tolerance: see :meth:`Comparison.require`.
        target: what the file is going to be called.

    Raises:
        RunFailed: it is another model.
    """
    own = formats()[format].check
    if own:
        needs: str | None = locate(own)(compared, predictor, path, arrays, tolerance, target)
        return needs
    compared.require(tolerance, target)
    return None
