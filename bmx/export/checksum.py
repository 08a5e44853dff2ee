"""Checksums of exported files, written at export and verified when they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from bmx.errors import UsageError

KEY = "sha256"
_NAME = b"bmx.sha256"
# The checksum, and the number of bytes it covers: a file that another program has rewritten has another length.
_VALUE = 64 + 1 + 16
# The last entry of ONNX's metadata_props in protobuf's wire format: field number and length, then key and value.
_TAIL = bytes([14 << 3 | 2, 2 + len(_NAME) + 2 + _VALUE, 1 << 3 | 2, len(_NAME), *_NAME, 2 << 3 | 2, _VALUE])


def of_tensors(tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> str:
    """SHA-256 of the names, types, shapes and values of tensors, and of the accompanying metadata."""
    total = hashlib.sha256()
    for name, text in sorted(facts.items()):
        if name != KEY:
            total.update(f"{name}={len(text)}:{text};".encode())
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def check_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
    """Raises UsageError where tensors do not match the checksum among the facts."""
    if KEY in facts and facts[KEY] != of_tensors(tensors, facts):
        raise damaged(path)


def seal_onnx(path: Path) -> None:
    """Appends the checksum of an ONNX file to it, as one more metadata entry."""
    body = path.read_bytes()
    path.write_bytes(body + _TAIL + _sum(body))


def check_onnx(path: Path) -> None:
    """Raises UsageError where an ONNX file does not match its checksum; one rewritten by another program passes."""
    content = path.read_bytes()
    cut = len(content) - len(_TAIL) - _VALUE
    if cut <= 0 or content[cut:-_VALUE] != _TAIL:
        return
    expected, found = _sum(content[:cut]), content[-_VALUE:]
    if found != expected and (found[64:] == expected[64:] or not found[65:].isdigit()):
        raise damaged(path)


def _sum(body: bytes) -> bytes:
    return f"{hashlib.sha256(body).hexdigest()}:{len(body):016}".encode()


def damaged(path: Path) -> UsageError:
    """The error for a file whose bytes have changed since it was written."""
    what = "the file is damaged: its bytes are not those that were written"
    return UsageError(what, str(path), "take another copy of it, or export the run again with `bmx export`")
