"""A model file is read back when it is written: what it gives back is the model in memory, or the run fails."""

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from bmx.data.pipeline.input_stage import InputStage
from bmx.data.spec import DataSpec
from bmx.engine.predictor import save_model
from bmx.engine.saved_check import check_saved
from bmx.errors import RunFailed
from bmx.models.mlp import MLP

SPEC = DataSpec("made", "table", (4,), 3)
CONFIG = OmegaConf.to_yaml(
    {"model": {"_target_": "bmx.models.mlp.MLP", "hidden": [16, 16]}, "trainer": {"channels_last": False}}
)


def written(path, net):
    state = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
    stage = InputStage(SPEC)
    state |= {f"input_stage.{name}": tensor for name, tensor in stage.state_dict().items()}
    save_model(path, state, SPEC, CONFIG, {})
    return stage


def test_what_is_read_back_is_what_was_saved(tmp_path):
    torch.manual_seed(0)
    net = MLP((4,), 3, hidden=[16, 16], dropout=0.5).train()
    net.head.eval()
    stage = written(tmp_path / "best.ckpt", net)
    before = torch.get_rng_state()
    check_saved(tmp_path / "best.ckpt", net, stage, torch.randn(8, 4))
    torch.randn(1)
    assert net.training and not net.head.training, "each module stays in its mode"
    torch.set_rng_state(before)


def test_the_random_numbers_of_the_run_are_left_alone(tmp_path):
    net = MLP((4,), 3, hidden=[16, 16])
    stage = written(tmp_path / "best.ckpt", net)
    raw = torch.randn(8, 4)
    before = torch.get_rng_state()
    check_saved(tmp_path / "best.ckpt", net, stage, raw)
    assert torch.equal(before, torch.get_rng_state())


def test_a_file_that_gives_another_model_back_fails_the_run(tmp_path):
    """A field that was changed after the constructor is in no file."""
    torch.manual_seed(0)
    net = MLP((4,), 3, hidden=[16, 16])
    for name, module in list(net.named_modules()):
        if isinstance(module, nn.ReLU):
            parent, _, own = name.rpartition(".")
            setattr(net.get_submodule(parent), own, nn.Tanh())
    stage = written(tmp_path / "best.ckpt", net)
    with pytest.raises(RunFailed, match="not the one in memory"):
        check_saved(tmp_path / "best.ckpt", net, stage, torch.randn(8, 4))


TIED = """
from torch import nn

class Tied(nn.Module):
    def __init__(self, num_classes=3):
        super().__init__()
        self.one, self.two, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, num_classes)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.head(self.two(self.one(x).relu()).relu())
"""


def test_weights_that_are_tied_only_in_the_file_are_noticed(tmp_path, monkeypatch):
    """The constructor ties what was trained apart."""
    (tmp_path / "tied_net_of_a_test.py").write_text(TIED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    from tied_net_of_a_test import Tied

    torch.manual_seed(0)
    net = Tied()
    net.two.weight = nn.Parameter(torch.randn(4, 4))
    state = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
    stage = InputStage(SPEC)
    state |= {f"input_stage.{name}": tensor for name, tensor in stage.state_dict().items()}
    config = {"model": {"_target_": "tied_net_of_a_test.Tied"}, "trainer": {"channels_last": False}}
    file = tmp_path / "elsewhere" / "best.ckpt"
    save_model(file, state, SPEC, OmegaConf.to_yaml(config), {})
    with pytest.raises(RunFailed, match="not the one in memory"):
        check_saved(file, net, stage, torch.randn(8, 4))
