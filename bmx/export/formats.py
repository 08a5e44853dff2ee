"""The formats a model can be exported to, and how it is written in each."""

from __future__ import annotations

from pathlib import Path

import torch

from bmx.engine.predictor import Predictor
from bmx.errors import UsageError, did_you_mean
from bmx.export.description import BESIDE, INSIDE, Description
from bmx.export.graph import exportable
from bmx.extras import need

FORMATS = ("onnx", "pt2", "safetensors", "packed")
# These hold weights for a model that bmx builds again; the others are finished graphs.
OF_WEIGHTS = ("safetensors", "packed")
PREPROCESSING = (INSIDE, BESIDE)


def check(format: str, preprocessing: str) -> None:
    """Finds out whether an export can be made here.

    Raises:
        UsageError: an unknown word, or a package that is not installed.
    """
    if format not in FORMATS:
        raise UsageError(f"no format '{format}'", f"format={format}", did_you_mean(format, FORMATS))
    if preprocessing not in PREPROCESSING:
        fix = did_you_mean(preprocessing, PREPROCESSING)
        raise UsageError(f"preprocessing cannot be '{preprocessing}'", f"preprocessing={preprocessing}", fix)
    if format in ("onnx", "safetensors"):
        need(format, f"format={format}")


def suffix(format: str) -> str:
    """How the name of a file in this format ends."""
    return ".bmxp" if format == "packed" else f".{format}"


def write(format: str, predictor: Predictor, description: Description, raw_dtype: torch.dtype, path: Path) -> None:
    """Writes a predictor to a file.

    Args:
        format: one of ``FORMATS``.
        predictor: stays as it is.
        description: goes into the file; says whether the preprocessing does too.
        raw_dtype: of the samples as they are stored.
        path: the file, whatever its suffix.

    Raises:
        RunFailed: the model cannot be written in this format.
    """
    if format == "packed":
        from bmx.export.packed_file import write_packed

        write_packed(predictor, description, path)
        return
    facts = description.to_text()
    if format == "safetensors":
        from bmx.export.safetensors_file import write_weights

        write_weights(predictor, path, description.preprocessing, facts)
        return
    module, example = exportable(predictor, description.preprocessing, raw_dtype)
    if format == "onnx":
        from bmx.export import onnx_file

        onnx_file.write_graph(module, example, path, facts)
    else:
        from bmx.export import pt2_file

        pt2_file.write_graph(module, example, path, facts)
