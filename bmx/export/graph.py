"""Traces a predictor with torch.export into a graph with a dynamic batch size."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bmx.engine.predictor import Predictor
from bmx.errors import RunFailed
from bmx.export.description import INSIDE, Description, dtype_named

INPUT, OUTPUT = "input", "logits"


def in_float32(predictor: Predictor) -> Predictor:
    """The predictor, or a float32 copy where its weights are bfloat16, which few runtimes support."""
    if next((p.dtype for p in predictor.parameters() if p.is_floating_point()), None) is torch.bfloat16:
        return copy.deepcopy(predictor).float()
    return predictor


def exportable(predictor: Predictor, description: Description) -> tuple[nn.Module, Tensor]:
    """The module to export and an example of its input, a batch of two that holds no data."""
    dtype = dtype_named(description.input_dtype)
    module: nn.Module = predictor
    if description.preprocessing != INSIDE:
        # Outputs are in the units of the targets either way; classes need no output stage.
        units = predictor.output_stage
        module = predictor.net if units.scale is None else nn.Sequential(predictor.net, units)
    return ready(module), torch.zeros((2, *predictor.spec.input_shape), dtype=dtype)


def ready(module: nn.Module) -> nn.Module:
    """A copy on the CPU in eval mode, its weights in contiguous memory."""
    module = copy.deepcopy(module).cpu()
    for tensor in [*module.parameters(), *module.buffers()]:
        tensor.data = tensor.data.contiguous()
    return module.requires_grad_(False).eval()


def traced(module: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """The graph of a module, with a dynamic batch size.

    Raises:
        RunFailed: torch.export cannot trace the module, or only for one batch size.
    """
    # The example is stored with the graph, and a view would include its whole storage.
    batch = torch.export.Dim("batch", min=1, max=1 << 20)
    given, shapes = (example.clone(),), ({0: batch},)
    with explained("torch.export"), quietly():
        try:
            return torch.export.export(module, given, dynamic_shapes=shapes)
        except Exception as error:
            # `len(x)` is a plain number to Python; only torch's compiler traces it as the batch size.
            try:
                return torch.export.export(module, given, dynamic_shapes=shapes, strict=True)
            except Exception:
                raise error from None


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Context manager that turns any exception of an exporter into a one-line error that names it.

    Raises:
        RunFailed: for any exception.
    """
    try:
        yield
    except Exception as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise RunFailed(
            f"{what} cannot follow this model: {first[:200]}",
            "the export",
            "format=safetensors keeps the weights of any model; repeat with --debug for the whole message",
        ) from error


@contextmanager
def quietly() -> Iterator[None]:
    """Context manager that hides the exporters' deprecation and future warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
