"""Safety check of a pt2 file before torch.export reads it, since reading one can execute arbitrary code.

torch unpickles weights, constants and sample inputs that are marked as pickles, loads compiled libraries, evaluates the
sizes of tensors as Python, and resolves the operations of the graph by their dotted names, from ``torch`` on. So a file
is read only if it holds nothing but what ``bmx export`` writes: tensors as bytes, and a graph of torch's operations.
"""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_RECORDS = re.compile(
    r"data/weights/(weight_\d+|model_weights_config\.json)|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|models/model\.json|data/sample_inputs/model\.pt|extra/[\w.\-]+|archive_format|archive_version|byteorder"
    r"|\.data/(version|serialization_id)|\.format_version|\.storage_alignment"
)
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_TENSORS = re.compile(r"(weight|tensor)_\d+")
# Operations of tensors, arithmetic of sizes, and control flow: what torch.export itself writes.
_OPERATIONS = re.compile(
    r"torch\.ops\.(aten|prims|prim|torchvision|quantized_decomposed|torchao|higher_order)\.\w+(\.\w+)?"
    r"|_operator\.(add|sub|mul|truediv|floordiv|mod|neg|pos|pow|eq|ne|lt|le|gt|ge|and_|or_|not_|xor|getitem|index"
    r"|lshift|rshift|matmul|abs)"
    r"|math\.(ceil|floor|trunc|sqrt|pow|log2|isinf|isnan)|torch\.sym_(int|float|not|min|max|ite|sum|sqrt)"
    r"|torch\._sym_sqrt|torch\._check(_is_size)?"
)
# Operations with effects beyond their tensors.
_NO_OPERATIONS = re.compile(r"from_file|pickle|triton|custom|autograd|print|call_torchbind|executorch|invoke_leaf")
_CONTAINERS = ("builtins.list", "builtins.tuple", "builtins.dict", "collections.OrderedDict", None)
_METADATA = ("stack_trace", "torch_fn", "custom")
_NAMES = """
Symbol Integer Rational Float Max Min Add Mul Pow Abs Eq Ne Lt Le Gt Ge And Or Not Piecewise ceiling floor FloorDiv
ModularIndexing Where PythonMod Mod CleanDiv CeilToInt FloorToInt CeilDiv LShift RShift PowByNatural FloatPow
FloatTrueDiv IntTrueDiv IsNonOverlappingAndDenseIndicator TruncToFloat TruncToInt RoundToInt RoundDecimal ToFloat
Identity true false oo
"""
_FUNCTIONS = frozenset(_NAMES.split())


def check(data: bytes) -> None:
    """Checks that reading a pt2 file only builds a graph of tensors.

    Raises:
        ValueError: it would do more; the message names what.
    """
    reader = torch._C.PyTorchFileReader(io.BytesIO(data))
    records = reader.get_all_records()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
    # The zip readers of torch and of Python must see the same members: one file can be two archives.
    if sorted(name.partition("/")[2] for name in names) != sorted(records) or len(set(records)) != len(records):
        raise ValueError("its list of contents is not what it seems")
    for record in records:
        if not _RECORDS.fullmatch(record):
            raise ValueError(f"it holds '{record}', which is neither a tensor nor a graph")
    for config in _CONFIGS:
        for name, payload in _json(reader, config)["config"].items():
            if payload.get("use_pickle") or not _TENSORS.fullmatch(str(payload.get("path_name"))):
                raise ValueError(f"'{name}' in it is a pickle, which could run anything")
    torch.load(io.BytesIO(reader.get_record("data/sample_inputs/model.pt")), weights_only=True)
    for key, value in _leaves(_json(reader, "models/model.json"), ""):
        _check_leaf(key, value)


def _json(reader: Any, record: str) -> Any:
    return json.loads(reader.get_record(record).decode("utf-8"))


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if key == "metadata" and name not in _METADATA:
                raise ValueError(f"it notes '{name}' of an operation, which bmx leaves out")
            yield from _leaves(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, key)
    else:
        yield key, value


def _check_leaf(key: str, value: Any) -> None:
    if key in ("target", "as_operator"):
        operation = str(value)
        if not _OPERATIONS.fullmatch(operation) or _NO_OPERATIONS.search(operation):
            raise ValueError(f"its graph calls {operation[:80]}, which is no operation on tensors")
    elif key == "expr_str":
        _check_size(str(value))
    elif key in ("in_spec", "out_spec") and value:
        _check_containers(json.loads(value)[1])
    elif key in ("as_custom_obj", "custom_obj_values", "class_fqn"):
        raise ValueError("it holds an object that is no tensor")


def _check_size(text: str) -> None:
    """Checks that a size expression consists of sums and products of symbols, with a few functions of sympy."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError):
        raise ValueError(f"a size in it is no formula: {text[:80]}") from None
    for node in ast.walk(tree):
        called = isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS)
        name = isinstance(node, ast.Name) and node.id not in _FUNCTIONS and not re.fullmatch(r"[a-z]{1,3}\d+", node.id)
        text_in_it = isinstance(node, ast.Constant) and isinstance(node.value, str) and not node.value.isidentifier()
        if called or name or text_in_it or not isinstance(node, _OF_FORMULAS):
            raise ValueError(f"a size in it is no formula: {text[:80]}")


_OF_FORMULAS = (
    *(ast.Expression, ast.Call, ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Load),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.keyword, ast.Tuple),
)


def _check_containers(spec: Any) -> None:
    if spec["type"] not in _CONTAINERS:
        raise ValueError(f"its inputs or outputs are of the type {spec['type']}")
    if spec["context"] is not None and "__enum__" in str(spec["context"]):
        raise ValueError("its inputs or outputs have names that are objects")
    for inner in spec["children_spec"]:
        _check_containers(inner)


@contextmanager
def no_pickles() -> Iterator[None]:
    """Context manager that makes torch load with ``weights_only=True``, whatever its callers request."""
    load = torch.load

    def only_weights(*args: Any, **kwargs: Any) -> Any:
        return load(*args, **{**kwargs, "weights_only": True})

    torch.load = only_weights
    try:
        yield
    finally:
        torch.load = load
