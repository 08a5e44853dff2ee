"""Runs and model files as a stranger might have made them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf


def forged(honest: Path, folder: Path, **groups: Any) -> Path:
    """A run like an honest one whose model file names other things; its directory.

    Args:
        honest: the run to begin with.
        folder: where the run directory is made.
        groups: groups of its configuration, in the place of the honest ones.
    """
    content = torch.load(honest / "checkpoints" / "best.ckpt", weights_only=True)
    config = OmegaConf.to_container(OmegaConf.create(content["config"]))
    assert isinstance(config, dict)
    config.update(groups)
    file = folder / "checkpoints" / "best.ckpt"
    file.parent.mkdir(parents=True, exist_ok=True)
    # As plain YAML: OmegaConf itself would refuse some of what a stranger may write.
    torch.save({**content, "config": OmegaConf.to_yaml(OmegaConf.create(config))}, file)
    return folder


def nested(target: str, **fields: Any) -> list[Mapping[str, Any]]:
    """Models that name a target in every place that Hydra looks at."""
    inner = {"_target_": target, **fields}
    return [
        inner,
        {"_target_": "torch.nn.Sequential", "_args_": [inner]},
        {"_target_": "torch.nn.Sequential", "_args_": [{"_target_": "torch.nn.Identity"}, {"a": [{"b": inner}]}]},
        {"_target_": "bmx.models.mlp.MLP", "hidden": inner},
        {"_target_": "bmx.models.mlp.MLP", "activation": {"_partial_": True, **inner}},
        {"_target_": "torch.nn.TransformerEncoderLayer", "d_model": 4, "nhead": 1, "activation": inner},
    ]
