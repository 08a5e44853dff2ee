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
# A last entry of ONNX's metadata_props, a field of protocol buffers: its number and length, then key and value.
_TAIL = bytes([14 << 3 | 2, 2 + len(_NAME) + 2 + 64, 1 << 3 | 2, len(_NAME), *_NAME, 2 << 3 | 2, 64])


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
    path.write_bytes(body + _TAIL + hashlib.sha256(body).hexdigest().encode())


def check_onnx(path: Path) -> None:
    """Raises UsageError where an ONNX file is not as it was sealed; one that another program wrote anew is let pass."""
    content = path.read_bytes()
    cut = len(content) - len(_TAIL) - 64
    if cut > 0 and content[cut:-64] == _TAIL and content[-64:] != hashlib.sha256(content[:cut]).hexdigest().encode():
        raise damaged(path)


def damaged(path: Path) -> UsageError:
    """What is said of a file whose bytes have changed since it was written."""
    what = "the file is damaged: its bytes are not those that were written"
    return UsageError(what, str(path), "take another copy of it, or export the run again with `bmx export`")
