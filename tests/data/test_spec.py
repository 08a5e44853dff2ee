import json

import pytest
import torch

from bmx.data.arrays import Arrays
from bmx.data.spec import DataSpec

IMAGES = DataSpec("pictures", "image", (3, 32, 48), 2, ("cat", "dog"))
TOKENS = DataSpec("words", "tokens", (12,), 4, vocab_size=5, pad_id=1, vocabulary=("a", "", "b", "c", "d"))
TABLE = DataSpec("rows", "table", (7,), 0)


@pytest.mark.parametrize("spec", [IMAGES, TOKENS, TABLE], ids=lambda spec: spec.kind)
def test_a_spec_survives_json(spec):
    assert DataSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_models_are_told_the_shape_of_what_they_read():
    images, tokens, table = (spec.model_arguments() for spec in (IMAGES, TOKENS, TABLE))
    assert images["image_size"] == images["img_size"] == (32, 48)
    assert images["in_channels"] == images["in_chans"] == IMAGES.channels == 3
    assert images["in_features"] == 3 * 32 * 48
    assert (tokens["vocab_size"], tokens["max_length"], tokens["pad_id"]) == (5, 12, 1)
    assert table["in_features"] == 7
    assert set(images) == set(tokens) == set(table)
    assert DataSpec("square", "image", (1, 28, 28), 10).model_arguments()["image_size"] == 28


def test_regression_has_one_output_and_no_classes():
    assert TABLE.task == "regression"
    assert TABLE.model_arguments()["num_classes"] == TABLE.model_arguments()["num_outputs"] == 1
    assert IMAGES.task == "classification"
    assert IMAGES.model_arguments()["num_classes"] == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "sound", "input_shape": (3,), "num_classes": 2},
        {"kind": "image", "input_shape": (28, 28), "num_classes": 2},
        {"kind": "table", "input_shape": (0,), "num_classes": 2},
        {"kind": "table", "input_shape": (3,), "num_classes": -1},
        {"kind": "table", "input_shape": (3,), "num_classes": 2, "labels": ("only one",)},
        {"kind": "tokens", "input_shape": (3,), "num_classes": 2, "vocab_size": 4, "pad_id": 4},
        {"kind": "tokens", "input_shape": (3,), "num_classes": 2, "vocab_size": 4, "vocabulary": ("a",)},
    ],
)
def test_fields_that_contradict_each_other_are_refused(fields):
    with pytest.raises(ValueError, match="must"):
        DataSpec("wrong", **fields)


def test_arrays_are_of_one_length():
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        Arrays(torch.zeros(3, 2), torch.zeros(2))
    chosen = Arrays(torch.arange(6).view(3, 2), torch.tensor([5, 6, 7])).select(torch.tensor([2, 0]))
    assert chosen.inputs.tolist() == [[4, 5], [0, 1]]
    assert chosen.targets.tolist() == [7, 5]
    assert len(chosen) == 2
