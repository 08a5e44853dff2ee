"""A model file that is not there, and one that the code of today makes another model of."""

import pytest
import torch

from bmx.data.spec import DataSpec
from bmx.engine.predictor import load_model, read_model, save_model
from bmx.errors import UsageError
from tests.engine.test_saved_check import CONFIG, MLP, SPEC, written


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="there is no such file") as refused:
        read_model(tmp_path / "best.ckpt")
    assert refused.value.where == str(tmp_path / "best.ckpt") and "`bmx runs list`" in refused.value.fix


def test_weights_of_another_model_than_the_code_makes(tmp_path):
    torch.manual_seed(0)
    file = tmp_path / "best.ckpt"
    written(file, MLP((4,), 3, hidden=[8]))
    with pytest.raises(UsageError, match="the weights are of another model than its code makes: ") as refused:
        load_model(file)
    assert refused.value.where == str(file) and "or train it again" in refused.value.fix
    written(file, MLP((4,), 3, hidden=[16, 16]))  # as its configuration says
    assert load_model(file)(torch.zeros(1, 4)).shape == (1, 3)


def test_a_format_of_nobody(tmp_path):
    file = tmp_path / "best.ckpt"
    save_model(file, {}, DataSpec("made", "table", (4,), 3), CONFIG, {})
    content = read_model(file)
    assert content["spec"] == SPEC.to_dict()
    torch.save({**content, "format": "another"}, file)
    with pytest.raises(UsageError, match="not a model that bmx wrote"):
        read_model(file)
