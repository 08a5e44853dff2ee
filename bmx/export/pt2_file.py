"""Writes and reads pt2 files: graphs of torch.export, which torch runs without the original model classes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from bmx.engine.durable import fill
from bmx.engine.predictor import Predictor
from bmx.engine.zip_check import Damaged, check_zip
from bmx.errors import UsageError
from bmx.export import checksum, pt2_check
from bmx.export.description import Description, dtype_named
from bmx.export.graph import exportable, quietly, traced

_FACTS = "bmx.json"
# Keys of the tracer's notes on the source lines of an operation.
_TRACES = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node")


def write_graph(module: nn.Module, example: Tensor, path: Path, facts: dict[str, str] | None = None) -> None:
    """Writes the graph of a module with a dynamic batch size; ``facts`` is stored in the file as ``bmx.json``.

    Raises:
        RunFailed: torch.export cannot trace the module.
    """
    program = traced(module, example)
    for inner in program.graph_module.modules():
        for node in inner.graph.nodes if isinstance(inner, torch.fx.GraphModule) else ():
            for trace in _TRACES:
                node.meta.pop(trace, None)
    extra = {_FACTS: json.dumps(facts or {})}
    with quietly(), path.open("wb") as file:
        fill(file, lambda told: torch.export.save(program, told, extra_files=extra))


def write(predictor: Predictor, description: Description, path: Path) -> None:
    """Writes the graph of a predictor, and its description.

    Raises:
        RunFailed: torch.export cannot trace the model.
    """
    module, example = exportable(predictor, description)
    write_graph(module, example, path, description.to_text())


def read(path: Path) -> tuple[Pt2Model, Description]:
    """Reads the graph and the description of a file that :func:`write` wrote.

    Raises:
        UsageError: it is not such a file.
    """
    model = Pt2Model(path)  # always in eval mode; a call of eval() would raise
    return model, model.description


class Pt2Model(nn.Module):
    """A pt2 file as a module that takes raw samples, like a predictor.

    Args:
        path: the file.

    Raises:
        UsageError: it is not a pt2 file written by bmx.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        extra = {_FACTS: ""}
        try:
            check_zip(path)  # torch would log a dozen lines on a truncated member
            data = path.read_bytes()
            pt2_check.check(data)
            with quietly(), pt2_check.no_pickles():
                program = torch.export.load(io.BytesIO(data), extra_files=extra)
            self.description = Description.from_text(json.loads(extra[_FACTS] or "{}"), path)
        except Damaged as error:
            raise checksum.damaged(path) from error
        except UsageError:
            raise
        except Exception as error:  # torch raises any error of its zip reader or its deserialiser
            first = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
            fix = "export one with `bmx export`"
            raise UsageError(f"this pt2 file cannot be read: {first}", str(path), fix) from error
        self.net = program.module()
        self.dtype = dtype_named(self.description.input_dtype)
        self.stage = self.description.stage_before()

    def forward(self, raw: Tensor) -> Tensor:
        """Logits (N, K) of a raw batch (N, …)."""
        inputs = raw if self.stage is None else self.stage(raw)
        out: Tensor = self.net(inputs.to(self.dtype))
        return out
