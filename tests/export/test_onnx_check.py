"""Graphs that a stranger has made: a pt2 file can run anything when it is read, an ONNX file can read anything."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bmx.errors import UsageError
from bmx.export import writing
from bmx.export.description import describe
from bmx.export.pt2_file import Pt2Model
from tests.export.conftest import Case, make


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def exported(case: Case, file: Path) -> Path:
    raw = case.arrays.inputs.dtype
    writing.write("pt2", case.predictor, describe(case.predictor, "inside", raw, {}), file)
    return file


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A pt2 file that bmx wrote."""
    return exported(make("image"), tmp_path_factory.mktemp("honest") / "honest.pt2")


@pytest.fixture
def graph(honest, tmp_path):
    """It, where copies of it can be made."""
    return Path(shutil.copy(honest, tmp_path / "honest.pt2"))


def rewritten(file: Path, change: Callable[[str, bytes], bytes | None], **more: bytes) -> Path:
    """A copy whose records are what ``change`` makes of them, and more; ``__`` in a name is a slash."""
    out = file.with_name("forged.pt2")
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(out, "w") as new:
        root = old.namelist()[0].partition("/")[0]
        for name in old.namelist():
            content = change(name.partition("/")[2], old.read(name))
            if content is not None:
                new.writestr(name, content)
        for name, content in more.items():
            new.writestr(f"{root}/{name.replace('__', '/')}", content)
    return out


def in_graph(change: Callable[[dict], None]) -> Callable[[str, bytes], bytes]:
    def changed(name: str, content: bytes) -> bytes:
        if name != "models/model.json":
            return content
        graph = json.loads(content)
        change(graph)
        return json.dumps(graph).encode()

    return changed


def test_what_bmx_writes_is_read(case, tmp_path):
    graph = exported(case, tmp_path / "honest.pt2")
    model = Pt2Model(graph)
    inputs = case.arrays.inputs[:3]
    inputs = inputs.long() if case.predictor.spec.kind == "tokens" else inputs
    with torch.inference_mode():
        torch.testing.assert_close(model(inputs), case.predictor(inputs), rtol=1e-4, atol=1e-4)
    Pt2Model(rewritten(graph, lambda name, content: content))  # what the tests below change is nothing but their change


OPERATIONS = (
    *("torch.serialization.os.system", "torch.hub.load", "torch.load", "math.__loader__", "_operator.attrgetter"),
    *("_operator.methodcaller", "torch.ops.load_library", "torch.ops.aten.from_file.default", "#x:y", "os.system"),
    "torch.ops.higher_order.triton_kernel_wrapper_functional",
)
CODE = (
    *("__import__('os').system('touch MARK')", "().__class__", "[].append(1)", "Symbol('s0').__class__", "s0.x"),
    *("exec('1')", "(lambda: 1)()", "[x for x in (1,)]", "Symbol('__import__(1)')", "f'{1}'", "s0 if s0 else s0"),
    *("", "sympify('1')", "Max(*[1])", "s0[0]", "open('MARK', 'w')"),
)
LOCATIONS = (
    *("ABS", "../secret.bin", "sub/../../secret.bin", "link.bin", "linked/secret.bin", "..\\secret.bin", "hard.bin"),
    *("", "C:\\secret.bin", "\\\\host\\secret.bin", "*/_ORT_MEM_ADDR_/*", "missing.bin", "."),
)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_graph_calls_operations_on_tensors_only(graph, name):
    def first(graph):
        graph["graph_module"]["graph"]["nodes"][0]["target"] = name

    def argument(graph):
        graph["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"] = {"as_operator": name}

    for change in (first, argument):
        with pytest.raises(UsageError, match="no operation on tensors"):
            Pt2Model(rewritten(graph, in_graph(change)))


@pytest.mark.parametrize("size", CODE)
def test_sizes_are_formulas_and_not_code(graph, tmp_path, size):
    mark = tmp_path / "mark"

    def change(graph):
        values = graph["graph_module"]["graph"]["tensor_values"].values()
        found = [one["as_expr"] for value in values for one in value["sizes"] if "as_expr" in one]
        assert found
        for formula in found:
            formula["expr_str"] = size.replace("MARK", str(mark))

    with pytest.raises(UsageError, match="no formula"):
        Pt2Model(rewritten(graph, in_graph(change)))
    assert not mark.exists()


def test_nothing_in_it_is_unpickled(graph, tmp_path):
    mark = tmp_path / "mark"
    raw, saved = pickle.dumps(Bomb(mark)), io.BytesIO()
    torch.save((Bomb(mark),), saved)

    def with_constant(path):
        config = {"config": {"c": {"path_name": path, "is_param": False, "use_pickle": True, "tensor_meta": None}}}

        def change(name, content):
            return json.dumps(config).encode() if name == "data/constants/model_constants_config.json" else content

        return change

    def samples(name, content):
        return saved.getvalue() if name == "data/sample_inputs/model.pt" else content

    def weights(name, content):
        if name != "data/weights/model_weights_config.json":
            return content
        config = json.loads(content)
        for payload in config["config"].values():
            payload["use_pickle"] = True
        return json.dumps(config).encode()

    same = lambda name, content: content  # noqa: E731
    for forged in (
        lambda: rewritten(graph, with_constant("opaque_obj_0"), data__constants__opaque_obj_0=raw),
        lambda: rewritten(graph, with_constant("tensor_0"), data__constants__tensor_0=saved.getvalue()),
        lambda: rewritten(graph, with_constant("custom_obj_0"), data__constants__custom_obj_0=raw),
        lambda: rewritten(graph, samples),
        lambda: rewritten(graph, weights),
        lambda: rewritten(graph, same, **{"data__weights__model.pt": saved.getvalue()}),
        lambda: rewritten(graph, same, **{"data__aotinductor__model__x.so": b"ELF"}),
        lambda: rewritten(graph, same, **{"models__other.json": b"{}"}),
        lambda: rewritten(graph, same, serialized_state_dict=raw),
    ):
        with pytest.raises(UsageError, match="pt2 file cannot be read"):
            Pt2Model(forged())
        assert not mark.exists()


def test_an_archive_of_the_older_kind_is_not_read_either(graph, tmp_path):
    mark, saved = tmp_path / "mark", io.BytesIO()
    torch.save({"x": Bomb(mark)}, saved)
    out = tmp_path / "forged.pt2"
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("version", "8.8")
        archive.writestr("serialized_exported_program.json", "{}")
        for name in ("serialized_state_dict.pt", "serialized_constants.pt", "serialized_example_inputs.pt"):
            archive.writestr(name, saved.getvalue())
    with pytest.raises(UsageError, match="pt2 file cannot be read"):
        Pt2Model(out)
    assert not mark.exists()


def test_containers_of_inputs_are_plain(graph):
    def change(graph):
        keys = '[{"__enum__": true, "fqn": "os:x", "name": "y"}]'
        spec = json.dumps([1, {"type": "builtins.dict", "context": keys, "children_spec": []}])
        for entry in graph["graph_module"]["module_call_graph"]:
            if entry["signature"]:
                entry["signature"]["in_spec"] = spec

    with pytest.raises(UsageError, match="objects"):
        Pt2Model(rewritten(graph, in_graph(change)))


@pytest.fixture
def onnx_file(images, tmp_path):
    """An ONNX file that bmx wrote, in a folder of its own."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    file = tmp_path / "model" / "m.onnx"
    file.parent.mkdir()
    raw = images.arrays.inputs.dtype
    writing.write("onnx", images.predictor, describe(images.predictor, "inside", raw, {}), file)
    return file


def outside(file: Path, location: str) -> Path:
    """A copy, one of whose weights is said to lie elsewhere."""
    import onnx

    model = onnx.load(str(file))
    weight = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    size = len(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": str(size)}.items():
        weight.external_data.add(key=key, value=value)
    out = file.with_name("forged.onnx")
    out.write_bytes(model.SerializeToString())
    return out


@pytest.mark.parametrize("location", LOCATIONS)
def test_weights_lie_in_the_folder_of_the_model(onnx_file, tmp_path, location):
    from bmx.export.onnx_file import OnnxModel

    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(1_000_000))
    (onnx_file.parent / "sub").mkdir()
    (onnx_file.parent / "link.bin").symlink_to(secret)
    (onnx_file.parent / "linked").symlink_to(tmp_path)
    (onnx_file.parent / "hard.bin").hardlink_to(secret)
    with pytest.raises(UsageError) as error:
        OnnxModel(outside(onnx_file, location.replace("ABS", str(secret))))
    assert "was not read" in error.value.what and len(error.value.lines()) == 3


def test_a_plain_file_beside_it_is_read(onnx_file, images):
    import onnx

    from bmx.export.onnx_file import OnnxModel

    model = onnx.load(str(onnx_file))
    weight = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    (onnx_file.parent / "weights.bin").write_bytes(weight.raw_data)
    found = OnnxModel(outside(onnx_file, "weights.bin"))
    inputs = images.arrays.inputs[:3]
    with torch.inference_mode():
        torch.testing.assert_close(found(inputs), images.predictor(inputs), rtol=1e-3, atol=1e-3)


def test_what_is_no_onnx_file_is_told_so(tmp_path):
    pytest.importorskip("onnx")
    from bmx.export.onnx_check import check

    file = tmp_path / "m.onnx"
    file.write_bytes(b"\xff" * 100)
    with pytest.raises(UsageError, match="no ONNX file"):
        check(file)
    shutil.copy(__file__, file)
    with pytest.raises(UsageError, match="no ONNX file"):
        check(file)
