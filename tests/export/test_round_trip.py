"""What is written is read back as the same model, by the runtime that the format is for."""

from pathlib import Path

import pytest
import torch

from bmx.config.formats import formats
from bmx.errors import UsageError
from bmx.export import writing
from bmx.export.comparison import compare
from bmx.export.description import describe
from bmx.export.reading import Loaded, load
from tests.export.conftest import Case, make


def export(case: Case, format: str, preprocessing: str, folder: Path) -> Loaded:
    file = folder / f"model{formats()[format].suffix}"
    description = describe(case.predictor, preprocessing, case.raw_dtype, {"parameters": 7, "macs": 11})
    writing.write(format, case.predictor, description, file)
    return load(file)


@pytest.mark.slow
@pytest.mark.parametrize("format", list(formats()))
def test_every_kind_of_data(case: Case, format: str, tmp_path: Path) -> None:
    loaded = export(case, format, "inside", tmp_path)
    found = compare(case.predictor, loaded.model, case.arrays, case.predictor.spec)
    assert found.largest_difference < 1e-5 * max(1, found.largest_output)
    assert found.changed == 0 and found.n == 40
    assert found.original.keys() == found.exported.keys()
    assert loaded.spec == case.predictor.spec
    assert loaded.config == case.predictor.config


@pytest.mark.parametrize("format", list(formats()))
def test_preprocessing_beside_the_graph(images: Case, format: str, tmp_path: Path) -> None:
    loaded = export(images, format, "beside", tmp_path)
    found = compare(images.predictor, loaded.model, images.arrays, images.predictor.spec)
    assert found.largest_difference < 1e-5
    description = loaded.description
    assert description is not None and description.input_dtype == "float32"
    stage = description.stage_before()
    assert stage is not None
    raw = images.arrays.inputs
    assert torch.equal(stage(raw), images.predictor.input_stage(raw))


def test_an_onnx_file_says_what_it_is_and_nothing_of_where_it_was_made(images: Case, tmp_path: Path) -> None:
    import onnx

    export(images, "onnx", "inside", tmp_path)
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    facts = {prop.key: prop.value for prop in model.metadata_props}
    assert facts["bmx.labels"] == '["é", "b", "c"]'
    assert all(key.startswith("bmx.") for key in facts)
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    text = (tmp_path / "model.onnx").read_bytes()
    assert b".py" not in text and b"stack" not in text
    (given,) = model.graph.input
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_value or d.dim_param for d in given.type.tensor_type.shape.dim] == ["batch", 1, 8, 8]
    assert not list(tmp_path.glob("*.data"))


def test_a_pt2_file_holds_no_data_and_no_traces(images: Case, tmp_path: Path) -> None:
    import zipfile

    export(images, "pt2", "inside", tmp_path)
    with zipfile.ZipFile(tmp_path / "model.pt2") as archive:
        assert not any(b"lenet5.py" in archive.read(name) for name in archive.namelist())
    weights = sum(p.numel() for p in images.predictor.parameters()) * 4
    assert (tmp_path / "model.pt2").stat().st_size < weights + 60_000


def test_a_finished_graph_knows_the_cost_it_was_exported_with(images: Case, tmp_path: Path) -> None:
    cost = export(images, "pt2", "inside", tmp_path).cost()
    assert (cost.parameters, cost.macs) == (7, 11)
    assert cost.bytes == (tmp_path / "model.pt2").stat().st_size


def test_double_precision_stays_exact(tmp_path: Path) -> None:
    case = make("table")
    case.predictor.double()
    for format in ("pt2", "safetensors"):
        loaded = export(case, format, "beside", tmp_path)
        assert compare(case.predictor, loaded.model, case.arrays, case.predictor.spec).largest_difference < 1e-12


@pytest.mark.parametrize("format", list(formats()))
def test_a_file_of_something_else(format: str, tmp_path: Path) -> None:
    file = tmp_path / f"model{formats()[format].suffix}"
    file.write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(UsageError) as error:
        load(file)
    assert (str(file) in error.value.where and "bmx export" in error.value.fix) or "export" in error.value.fix


def test_an_onnx_file_that_bmx_did_not_write(tmp_path: Path) -> None:
    from bmx.export.onnx_file import write_graph

    write_graph(torch.nn.Linear(3, 2).eval(), torch.zeros(2, 3), tmp_path / "model.onnx")
    with pytest.raises(UsageError, match="does not say that bmx wrote it"):
        load(tmp_path / "model.onnx")
