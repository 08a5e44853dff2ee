"""Verifies an ONNX export against its model, with tolerances for quantised layers and a check for integer overflow."""

from __future__ import annotations

from pathlib import Path

from bmx.compression.quantize.step_quantize import is_quantised
from bmx.data.arrays import Arrays
from bmx.engine.predictor import Predictor
from bmx.errors import RunFailed
from bmx.export import overflow
from bmx.export.comparison import ExportComparison, compare
from bmx.export.onnx_file import OnnxModel


def require(
    compared: ExportComparison, predictor: Predictor, path: Path, arrays: Arrays, tolerance: float, target: str
) -> str | None:
    """Checks the comparison; returns what the file requires of a processor, None for one that is right on all.

    Raises:
        RunFailed: the outputs differ, or the file requires more than this processor has, so that other programs would
            get wrong outputs here.
    """
    if not is_quantised(predictor):
        compared.require(tolerance, target)
        return None
    compared.require_rounded(tolerance, target)
    if not overflow.file_can_overflow(path):
        return None
    elsewhere = compare(predictor, OnnxModel(path, as_others=True).eval(), arrays, predictor.spec)
    try:
        elsewhere.require_rounded(tolerance, target)
    except RunFailed as error:
        what = f"8-bit products overflow in onnxruntime on this processor, which has no VNNI: {error.what}"
        raise RunFailed(what, error.where, overflow.REMEDY) from error
    return overflow.NEEDS
