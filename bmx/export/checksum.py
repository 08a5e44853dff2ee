"""Checksums of exported files, written when they are made and compared when they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from bmx.errors import UsageError

KEY = "sha256"
_NAME = b"bmx.sha256"
# The checksum, and how many bytes it is of: one program's file that another has written anew has another length.
_VALUE = 64 + 1 + 16
# A last entry of ONNX's metadata_props, a field of protocol buffers: its number and length, then key and value.
_TAIL = bytes([14 << 3 | 2, 2 + len(_NAME) + 2 + _VALUE, 1 << 3 | 2, len(_NAME), *_NAME, 2 << 3 | 2, _VALUE])


def of_tensors(tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> str:
    """SHA-256 of names, types, shapes and numbers of tensors, and of the texts beside them."""
    total = hashlib.sha256()
    for name, text in sorted(facts.items()):
        if name != KEY:
            total.update(f"{name}={len(text)}:{text};".encode())
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def check_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
    """Raises UsageError where tensors are not those that the checksum among the facts was made of."""
    if KEY in facts and facts[KEY] != of_tensors(tensors, facts):
        raise damaged(path)


def seal_onnx(path: Path) -> None:
    """Adds the checksum of an ONNX file to its end, as one more entry of its metadata."""
    body = path.read_bytes()
    path.write_bytes(body + _TAIL + _sum(body))


def check_onnx(path: Path) -> None:
    """Raises UsageError where an ONNX file is not as it was sealed; one that another program wrote anew is let pass."""
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
    """What is said of a file whose bytes have changed since it was written."""
    what = "the file is damaged: its bytes are not those that were written"
    return UsageError(what, str(path), "take another copy of it, or export the run again with `bmx export`")
