"""Packed files: lossless compressed model files for bmx, with arithmetic coding of pruned and shared weights.

The coding is in :mod:`bmx.packing`. The file holds everything needed to rebuild the model: ``bmxp``, a version, a
checksum of all that follows; the length of the header, and the header, deflated JSON with data spec, configuration,
recipe and input statistics; a checksum of the tensors' names, shapes and types; the tensors.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from bmx.compression.rebuild import rebuild
from bmx.data.spec import DataSpec
from bmx.engine.build import make_model
from bmx.engine.predictor import Predictor, lay_out
from bmx.engine.trust_check import judged
from bmx.errors import BmxError, RunFailed, UsageError
from bmx.export.description import Description, dtype_named
from bmx.export.packed_words import WORDS
from bmx.packing.tensors import decode, encode

MAGIC, VERSION = b"bmxp", 1
_PREFIX = len(MAGIC) + 1
_FIX = "export one with `bmx export format=packed`"


def write(predictor: Predictor, description: Description, path: Path) -> None:
    """Writes a predictor.

    Raises:
        RunFailed: its state dict holds more than tensors.
    """
    state = predictor.net.state_dict()
    strange = next((name for name, value in state.items() if not isinstance(value, Tensor)), None)
    if strange is not None:
        raise RunFailed(f"{strange} is no tensor and cannot be packed", "format=packed", "use format=safetensors")
    header = _header(description, predictor.net)
    body = len(header).to_bytes(4, "little") + header + _signature(state) + encode(state.values())
    path.write_bytes(MAGIC + bytes([VERSION]) + zlib.crc32(body).to_bytes(4, "little") + body)


def read(path: Path) -> tuple[Predictor, Description]:
    """Reads the predictor of a file that :func:`write` wrote, in eval mode on the CPU, and its description.

    Raises:
        UsageError: it is not such a file, is damaged, or holds a model that this version builds differently.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"this file cannot be read: {error.strerror or error}", str(path), _FIX) from error
    body = data[_PREFIX + 4 :]
    if data[: len(MAGIC)] != MAGIC:
        raise UsageError("this is no packed model of bmx", str(path), _FIX)
    if data[len(MAGIC) : _PREFIX] != bytes([VERSION]):
        raise UsageError("this packed model is of another version of bmx", str(path), "use the bmx that wrote it")
    if data[_PREFIX : _PREFIX + 4] != zlib.crc32(body).to_bytes(4, "little"):
        raise UsageError(
            "this packed model is damaged: its checksum is wrong", str(path), "copy it, or export it again"
        )
    try:
        return _build(body, path)
    except BmxError:
        raise
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise UsageError(f"this packed model cannot be read: {error}", str(path), _FIX) from error


def _build(body: bytes, path: Path) -> tuple[Predictor, Description]:
    length = 4 + int.from_bytes(body[:4], "little")
    facts = _inflated(body[4:length])
    config = OmegaConf.create(facts["config"])
    assert isinstance(config, DictConfig)
    spec = DataSpec.of_file(facts["spec"], path)
    recipe = facts.get("recipe", [])
    description = Description(
        spec,
        config,
        facts["preprocessing"],
        facts["statistics"],
        facts["input_dtype"],
        recipe=recipe,
        target_statistics=facts.get("target_statistics", {}),
    )
    net = rebuild(make_model(judged(config.model, "model", path), spec), recipe, path)
    predictor = Predictor(net, description.input_stage(), spec, config, recipe, description.output_stage())
    predictor.to(dtype_named(facts.get("dtype", "float32")))
    state = net.state_dict()
    if body[length : length + 4] != _signature(state):
        raise ValueError("its tensors are not those of the model as this version builds it")
    tensors = decode(body[length + 4 :], state.values())
    net.load_state_dict(dict(zip(state, tensors, strict=True)))
    lay_out(net, config, spec)
    return predictor.eval(), description


def _signature(state: dict[str, Tensor]) -> bytes:
    """Checksum of the tensors' names, shapes and types."""
    text = ";".join(f"{name} {list(tensor.shape)} {tensor.dtype}" for name, tensor in state.items())
    return zlib.crc32(text.encode()).to_bytes(4, "little")


def _header(description: Description, net: nn.Module) -> bytes:
    dtype = next((p.dtype for p in net.parameters() if p.is_floating_point()), torch.float32)
    facts: dict[str, Any] = {
        "config": OmegaConf.to_container(description.config, resolve=True),
        "spec": description.spec.to_dict(),
        "preprocessing": description.preprocessing,
        "statistics": description.statistics,
        "input_dtype": description.input_dtype,
        **({"recipe": description.recipe} if description.recipe else {}),
        **({"target_statistics": description.target_statistics} if description.target_statistics else {}),
        **({"dtype": str(dtype).removeprefix("torch.")} if dtype != torch.float32 else {}),
    }
    text = json.dumps(facts, separators=(",", ":"), ensure_ascii=False, default=str)
    deflate = zlib.compressobj(9, wbits=-15, zdict=WORDS)
    return deflate.compress(text.encode()) + deflate.flush()


def _inflated(header: bytes) -> dict[str, Any]:
    inflate = zlib.decompressobj(wbits=-15, zdict=WORDS)
    facts = json.loads(inflate.decompress(header) + inflate.flush())
    if not isinstance(facts, dict):
        raise ValueError("its header is no header")
    return facts
