"""What ONNX cannot do, and what onnxruntime cannot read, is told with what can."""

from pathlib import Path

import pytest
import torch

from bmx.errors import RunFailed, UsageError
from bmx.export import onnx_file, writing
from bmx.export.description import describe
from bmx.export.reading import load
from tests.export.conftest import Case, make


def write(case: Case, format: str, file: Path) -> None:
    description = describe(case.predictor, "inside", case.raw_dtype, {"parameters": 7, "macs": 11})
    writing.write(format, case.predictor, description, file)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("onnx") / "model.onnx"
    write(make("table"), "onnx", file)
    return file


def test_more_weights_than_a_file_holds(images: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "LARGEST", 1000)
    with pytest.raises(RunFailed, match="an ONNX file holds 2 GB") as refused:
        write(images, "onnx", tmp_path / "model.onnx")
    assert refused.value.where == str(tmp_path / "model.onnx") and not list(tmp_path.iterdir())
    for format in ("pt2", "safetensors"):
        assert f"format={format}" in refused.value.fix
        write(images, format, tmp_path / f"model.{format}")


def test_a_device_that_this_onnxruntime_does_not_have(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(UsageError, match="this onnxruntime has no CUDA") as refused:
        onnx_file.session(written, device=torch.device("cuda:0"))
    assert refused.value.where == "device=cuda:0" and refused.value.fix.endswith("device=cpu")
    assert onnx_file.session(written, device=torch.device("cpu")).get_inputs()


def test_a_file_that_onnxruntime_cannot_read(written: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"no model")
    with pytest.raises(UsageError, match="onnxruntime cannot read the file: ") as refused:
        onnx_file.session(file)
    assert (refused.value.where, refused.value.fix) == (str(file), "export the model again")
    assert onnx_file.session(written).get_inputs() and load(written)
