"""Writes and reads safetensors files: weights, with the description that bmx rebuilds the model from."""

from __future__ import annotations

from pathlib import Path

from bmx.engine.predictor import Predictor
from bmx.errors import UsageError
from bmx.export import checksum
from bmx.export.description import Description
from bmx.export.weights import built, tensors_of


def write(predictor: Predictor, description: Description, path: Path) -> None:
    """Writes the tensors of a predictor, and the description into the header."""
    from safetensors.torch import save_file

    tensors, facts = tensors_of(predictor, description), description.to_text()
    save_file(tensors, path, metadata={**facts, checksum.KEY: checksum.of_tensors(tensors, facts)})


def read(path: Path) -> tuple[Predictor, Description]:
    """Reads the predictor of a file that :func:`write` wrote, in eval mode on the CPU, and its description.

    Raises:
        UsageError: it is not such a file.
    """
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
        checksum.check_tensors(path, tensors, facts)
        description = Description.from_text(facts, path)
    except UsageError:
        raise
    except Exception as error:  # the reader is written in Rust and has a single error class
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
        fix = "export one with `bmx export`"
        raise UsageError(f"this safetensors file cannot be read: {first}", str(path), fix) from error
    return built(description, tensors, path), description
