"""A flipped bit or a cut in any file that bmx wrote is told, wherever it is; or it changes nothing at all."""

import random
from pathlib import Path

import pytest
import torch

from bmx.config.formats import formats
from bmx.engine.predictor import load_model, save_model
from bmx.errors import UsageError
from bmx.export import writing
from bmx.export.description import describe
from bmx.export.reading import load
from tests.export.conftest import Case

FORMATS = (*formats(), "ckpt")


def written(case: Case, format: str, folder: Path) -> Path:
    if format == "ckpt":
        file = folder / "best.ckpt"
        from omegaconf import OmegaConf

        config = OmegaConf.to_yaml(case.predictor.config)
        save_model(file, case.predictor.state_dict(), case.predictor.spec, config, {"epoch": 1})
        return file
    file = folder / f"model{formats()[format].suffix}"
    description = describe(case.predictor, "inside", case.raw_dtype, {"parameters": 7, "macs": 11})
    writing.write(format, case.predictor, description, file)
    return file


def answers(file: Path, case: Case) -> torch.Tensor:
    model = load_model(file) if file.suffix == ".ckpt" else load(file).model
    with torch.no_grad():
        return model(case.arrays.inputs)


@pytest.mark.parametrize("format", FORMATS)
def test_a_flipped_bit_is_told_or_changes_nothing(images: Case, format: str, tmp_path: Path) -> None:
    file = written(images, format, tmp_path)
    whole, expected = file.read_bytes(), answers(file, images)
    draw = random.Random(0)
    told = 0
    # Most of a file is weights; its ends hold what says where they are.
    places = [draw.randrange(len(whole)) for _ in range(12)] + [0, 30, len(whole) - 200, len(whole) - 5]
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1 << draw.randrange(8)
        file.write_bytes(changed)
        try:
            found = answers(file, images)
        except UsageError as error:
            told += 1
            assert str(file) in error.where or str(file) in str(error.lines())
        else:
            assert torch.equal(found, expected), f"byte {place} changed the answers in silence"
    assert told >= 8


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_was_cut_is_told_in_three_lines(
    images: Case, format: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(images, format, tmp_path)
    whole = file.read_bytes()
    capfd.readouterr()
    for share in (0.2, 0.7, 0.99):
        file.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(UsageError) as caught:
            answers(file, images)
        assert len(caught.value.lines()) == 3
    assert capfd.readouterr().err == "", "torch and onnxruntime keep their own words to themselves"


def test_an_onnx_file_that_another_program_wrote_anew_is_taken(images: Case, tmp_path: Path) -> None:
    import onnx

    file = written(images, "onnx", tmp_path)
    expected = answers(file, images)
    model = onnx.load(file)
    assert any(entry.key == "bmx.sha256" for entry in model.metadata_props), "it is a field of the format"
    model.producer_name = "another program"
    onnx.save(model, file)
    assert torch.equal(answers(file, images), expected)
