import pytest
import torch

from bmx.errors import RunFailed
from bmx.export.comparison import Predict, compare
from tests.export.conftest import Case


def test_the_same_model_passes(images: Case) -> None:
    found = compare(images.predictor, images.predictor, images.arrays, images.predictor.spec)
    assert found.largest_difference < 1e-6
    found.require(1e-4, "here")


def test_a_difference_in_one_sample_is_found(images: Case) -> None:
    def other(raw: torch.Tensor) -> torch.Tensor:
        outputs = images.predictor(raw).clone()
        if len(outputs) > 17:
            outputs[17] = torch.tensor([0.0, 0.0, 9.0])
        return outputs

    found = compare(images.predictor, other, images.arrays, images.predictor.spec)
    assert found.changed <= 1 and found.largest_difference > 8
    with pytest.raises(RunFailed, match=r"differs from the original by .* of 40 answers change"):
        found.require(1e-4, "model.onnx")


def test_a_model_that_is_right_in_batches_only_is_found(images: Case) -> None:
    def other(raw: torch.Tensor) -> torch.Tensor:
        return images.predictor(raw) + (0.5 if len(raw) == 1 else 0.0)

    found = compare(images.predictor, other, images.arrays, images.predictor.spec)
    assert found.largest_difference == pytest.approx(0.5, abs=1e-5)


def test_what_is_not_a_number_is_a_difference(images: Case) -> None:
    found = compare(
        images.predictor, lambda raw: images.predictor(raw) * torch.nan, images.arrays, images.predictor.spec
    )
    with pytest.raises(RunFailed):
        found.require(1.0, "here")


def test_the_tolerance_is_a_fraction_of_the_largest_output(images: Case) -> None:
    def larger(raw: torch.Tensor) -> torch.Tensor:
        return 1000 * images.predictor(raw)

    def off(raw: torch.Tensor) -> torch.Tensor:
        return larger(raw) + 0.01

    found = compare(larger, off, images.arrays, images.predictor.spec)
    assert found.largest_output > 50
    found.require(1e-3, "here")
    with pytest.raises(RunFailed):
        found.require(1e-6, "here")


def test_more_answers_that_differ_than_rounding_explains(images: Case) -> None:
    """Every output is near, and three of forty answers are others."""
    spec = images.predictor.spec
    outputs = torch.zeros(40, 3)
    outputs[:, 0], outputs[:, 1], outputs[39, 0] = 1.0, 0.99, 100.0
    nearly = outputs.clone()
    nearly[:3, 1] = 1.01

    def answers(table: torch.Tensor) -> Predict:
        rows = {bytes(raw.numpy().tobytes()): row for raw, row in zip(images.arrays.inputs, table, strict=True)}
        return lambda raw: torch.stack([rows[one.numpy().tobytes()] for one in raw])

    found = compare(answers(outputs), answers(nearly), images.arrays, spec)
    found.require(0.01, "model.onnx")
    with pytest.raises(RunFailed, match=r"3 of 40 answers of the exported model differ, more than 1") as refused:
        found.require_rounded(1e-4, "model.onnx")
    assert refused.value.where == "model.onnx"
    found.require_rounded(float(refused.value.fix.rpartition("tolerance=")[2]), "model.onnx")
