"""Safety check of an ONNX file before onnxruntime reads it: the external files that it would open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

from bmx.errors import UsageError


def check(path: Path) -> None:
    """Checks that a file's weights are inside it, or in plain files in its folder.

    Raises:
        UsageError: it is not an ONNX file, or it would read files outside of its folder.
    """
    import onnx

    fix = "export one with `bmx export`, which puts everything into one file"
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own errors, whose classes are not imported here
        raise UsageError("this is no ONNX file, or a damaged one", str(path), fix) from error
    for name, location in _outside(model):
        if not _is_beside(location, path.parent):
            what = f"the weights '{name}' of this file are said to lie in {location[:80]}, which was not read"
            raise UsageError(what, str(path), "keep them in a plain file in the folder of the model")


def _is_beside(location: str, folder: Path) -> bool:
    """Whether a location is a plain file below the folder: not a link, and not a path out of it on any system."""
    parts = PureWindowsPath(location).parts  # splits at both kinds of slashes
    if not parts or PureWindowsPath(location).is_absolute() or location.startswith("/") or ".." in parts:
        return False
    if PureWindowsPath(location).drive:
        return False
    inside = folder
    for part in parts:
        inside = inside / part
        if inside.is_symlink():
            return False
    return inside.is_file() and inside.stat().st_nlink == 1


def _outside(model: Any) -> Iterator[tuple[str, str]]:
    """Yields the locations of external weights, and of files that nodes refer to."""
    from onnx import TensorProto

    def tensors(message: Any) -> Iterator[tuple[str, str]]:
        for field, value in message.ListFields():
            if field.message_type is None:
                continue
            for inner in value if _is_many(value) else [value]:
                if isinstance(inner, TensorProto):
                    yield from _of_tensor(inner)
                elif field.message_type.name == "NodeProto" and inner.op_type == "EPContext":
                    yield inner.name, "a compiled file"
                else:
                    yield from tensors(inner)

    def _of_tensor(tensor: Any) -> Iterator[tuple[str, str]]:
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            entries = [entry.value for entry in tensor.external_data if entry.key == "location"]
            for location in entries or [""]:
                yield tensor.name, location

    yield from tensors(model)


def _is_many(value: Any) -> bool:
    return not hasattr(value, "ListFields")
