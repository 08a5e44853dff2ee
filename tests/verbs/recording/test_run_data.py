"""Data that a finished run is measured on have the vocabulary that it was trained with."""

import pytest
import torch
from omegaconf import OmegaConf

from bmx.data.arrays import Arrays, Source
from bmx.data.spec import DataSpec
from bmx.errors import UsageError
from bmx.verbs.recording.run_data import data_for

OWN = OmegaConf.create({"seed": 0})


def letters(symbols: str) -> Source:
    arrays = Arrays(torch.randint(0, 3, (20, 4)), torch.arange(20) % 2)
    return Source(arrays, arrays, DataSpec("letters", "tokens", (4,), 2, vocab_size=3, vocabulary=tuple(symbols)))


def chosen(symbols: str):
    target = f"{__name__}.letters"
    return OmegaConf.create({"data": {"_target_": target, "symbols": symbols, "val_size": 4, "leave_out": None}})


def test_another_vocabulary(tmp_path):
    spec = letters("_ab").spec
    with pytest.raises(UsageError, match="trained with another vocabulary") as refused:
        data_for(chosen("_ac"), spec, OWN, tmp_path / "best.ckpt")
    assert (refused.value.where, refused.value.fix) == ("data=letters", "use the run's own data")
    assert len(data_for(chosen("_ab"), spec, OWN, tmp_path / "best.ckpt").test) == 20
