"""Writes ONNX files with torch's exporter, without its debug metadata, and runs them with onnxruntime."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bmx.compression.quantize.step_quantize import is_quantised
from bmx.engine.predictor import Predictor
from bmx.errors import RunFailed, UsageError
from bmx.export import checksum, onnx_check, overflow
from bmx.export.description import Description, dtype_named
from bmx.export.graph import INPUT, OUTPUT, explained, exportable, quietly, traced

# protobuf's size limit; a larger model would need its weights in a second file.
LARGEST = 2_000_000_000
_PREFIX = "bmx."


def write_graph(module: nn.Module, example: Tensor, path: Path, facts: dict[str, str] | None = None) -> None:
    """Writes a module as one ONNX file with a dynamic batch size.

    Args:
        module: in eval mode on the CPU.
        example: a batch of two.
        path: the file.
        facts: text stored in the file's ``metadata_props`` under ``bmx.``.

    Raises:
        RunFailed: the model cannot be written in ONNX operations, or exceeds the size limit of a file.
    """
    import onnx

    from bmx.export import qdq
    from bmx.export.qdq_tidy import tidy

    quantised = is_quantised(module)
    recurrent = qdq.largest_in_lstm(module) if quantised else 0
    if quantised:
        module = qdq.in_onnx_operations(module)
    size = sum(t.numel() * t.element_size() for t in module.state_dict().values())
    if size > LARGEST:
        fix = "format=pt2 or format=safetensors has no such limit"
        raise RunFailed(f"an ONNX file holds 2 GB, the weights are {size / 1e9:.1f} GB", str(path), fix)
    program = traced(module, example)  # not by the exporter itself, which may fall back to a fixed batch size
    with explained("torch's ONNX exporter"), _silent():
        torch.onnx.export(
            program,
            (),
            str(path),
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
        )
    model = onnx.load(path)
    strip(model)
    _name_batch(model)
    if quantised:
        tidy(model)
    if recurrent:
        from bmx.export.int8 import quantise_recurrent

        model = quantise_recurrent(model, path, recurrent)
    for key, value in (facts or {}).items():
        model.metadata_props.add(key=f"{_PREFIX}{key}", value=value)
    onnx.save(model, path)
    checksum.seal_onnx(path)


def write(predictor: Predictor, description: Description, path: Path) -> None:
    """Writes the graph of a predictor, and its description.

    Raises:
        RunFailed: the model cannot be written in ONNX operations, or exceeds the size limit of a file.
    """
    module, example = exportable(predictor, description)
    write_graph(module, example, path, description.to_text())


def read(path: Path) -> tuple[OnnxModel, Description]:
    """Reads the graph and the description of a file that :func:`write` wrote.

    Raises:
        UsageError: it is not such a file.
    """
    model = OnnxModel(path).eval()
    return model, model.description


def _name_batch(model: Any) -> None:
    """Names the batch dimension, to which torch gives a numbered symbol."""
    (given,) = model.graph.input
    number = given.type.tensor_type.shape.dim[0].dim_param
    for value in [given, *model.graph.output]:
        for dim in value.type.tensor_type.shape.dim:
            if number and dim.dim_param == number:
                dim.dim_param = "batch"


def strip(model: Any) -> None:
    """Removes the exporter's debug metadata from an ONNX model: stack traces, names of source files.

    The shapes noted for values inside the graph are removed too: onnxruntime infers them itself, and its quantiser
    fails where they differ (https://github.com/microsoft/onnxruntime/issues/25890).
    """
    graphs = [model.graph, *model.functions]
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    model.doc_string = ""
    while graphs:
        graph = graphs.pop()
        for node in graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
            graphs += [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    for value in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        del value.metadata_props[:]
        value.doc_string = ""


def session(path: Path, threads: int | None = None, device: torch.device | None = None, as_others: bool = False) -> Any:
    """An onnxruntime session with the same outputs on every processor.

    Args:
        path: the file.
        threads: CPU threads per operation; None for torch's number.
        device: cuda needs onnxruntime-gpu.
        as_others: load the file as other programs do, where integer products may overflow on this processor.

    Raises:
        UsageError: onnxruntime cannot read the file, or cannot use the device.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    if device is not None and device.type == "cuda":
        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            fix = "pip install onnxruntime-gpu, or use device=cpu"
            raise UsageError("this onnxruntime has no CUDA", f"device={device}", fix)
        providers = ["CUDAExecutionProvider"]
    try:
        if not as_others and overflow.file_can_overflow(path) and overflow.processor_overflows():
            return onnxruntime.InferenceSession(overflow.exactly(path, options), options, providers=providers)
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime has a dozen exception classes of its own, all derived from Exception
        first = str(error).strip().splitlines()[0][:200]
        raise UsageError(f"onnxruntime cannot read the file: {first}", str(path), "export the model again") from error


class OnnxModel(nn.Module):
    """An ONNX file as a module that takes raw samples, like a predictor; run on the CPU by onnxruntime.

    Args:
        path: the file.
        as_others: see :func:`session`.

    Raises:
        UsageError: it is not an ONNX file written by bmx.
    """

    def __init__(self, path: Path, as_others: bool = False) -> None:
        super().__init__()
        checksum.check_onnx(path)
        onnx_check.check(path)
        self.session = session(path, as_others=as_others)
        text = self.session.get_modelmeta().custom_metadata_map
        try:
            facts = {key.removeprefix(_PREFIX): value for key, value in text.items() if key.startswith(_PREFIX)}
            self.description = Description.from_text(facts, path)
        except ValueError as error:
            fix = "export one with `bmx export`, which writes labels, data and preprocessing into it"
            raise UsageError(f"this ONNX file cannot be evaluated: {error}", str(path), fix) from error
        self.dtype = dtype_named(self.description.input_dtype)
        self.stage = self.description.stage_before()

    def forward(self, raw: Tensor) -> Tensor:
        """Logits (N, K) of a raw batch (N, …), on its device."""
        inputs = raw.cpu()
        if self.stage is not None:
            inputs = self.stage(inputs)
        return self.run(inputs.to(self.dtype)).to(raw.device)

    def run(self, inputs: Tensor) -> Tensor:
        """Outputs of the bare graph for its own inputs."""
        (outputs,) = self.session.run(None, {self.session.get_inputs()[0].name: inputs.contiguous().numpy()})
        return torch.from_numpy(outputs)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Context manager that silences the exporter, which prints and logs its progress."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with quietly(), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
