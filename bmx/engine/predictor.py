"""Trained model for inference, with its preprocessing; raw samples in, logits out; and its model file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from bmx.compression.rebuild import rebuild
from bmx.compression.recipe import Step
from bmx.data.pipeline.input_stage import InputStage
from bmx.data.pipeline.output_stage import OutputStage
from bmx.data.spec import DataSpec
from bmx.engine import durable
from bmx.engine.build import make_model
from bmx.engine.trust_check import judged
from bmx.engine.zip_check import Damaged, check_zip
from bmx.errors import UsageError

FORMAT = "bmx-model/1"


class Predictor(nn.Module):
    """A model with the input stage (preprocessing) it was trained with.

    Args:
        net: the model.
        input_stage: converts raw samples (uint8 images, token ids, table rows) to the net's inputs.
        spec: the data it was trained on; ``spec.labels`` names the classes.
        config: the configuration of the run it comes from.
        recipe: compression steps applied to the architecture that ``config.model`` builds.
        output_stage: converts the net's outputs to the units of the targets; None is the identity.
        origin: provenance of that run: data, code, versions; see :mod:`bmx.runs.origin`.
    """

    def __init__(
        self,
        net: nn.Module,
        input_stage: nn.Module,
        spec: DataSpec,
        config: DictConfig,
        recipe: Sequence[Step] = (),
        output_stage: OutputStage | None = None,
        origin: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self.input_stage = input_stage
        self.output_stage = output_stage or OutputStage(spec)
        self.spec = spec
        self.config = config
        self.recipe = list(recipe)
        self.origin = origin or {}

    def forward(self, raw: Tensor) -> Tensor:
        """Logits (N, K), or predictions (N, 1) in the units of the targets, of a raw batch (N, …)."""
        out: Tensor = self.output_stage(self.net(self.input_stage(raw)))
        return out


def save_model(
    path: Path,
    state_dict: dict[str, Tensor],
    spec: DataSpec,
    config_yaml: str,
    facts: dict[str, Any],
    recipe: Sequence[Step] = (),
) -> None:
    """Writes a model file: weights, data spec and configuration; loads with ``weights_only=True``.

    Args:
        path: the file.
        state_dict: of net, input and output stage, under the prefixes ``net.``, ``input_stage.``, ``output_stage.``.
        spec: of the data the model was trained on.
        config_yaml: the resolved configuration.
        facts: epoch, step and metrics of these weights; plain containers.
        recipe: compression steps applied to the architecture; see :mod:`bmx.compression.recipe`.
    """
    tensors = {name: t.detach().cpu().contiguous() for name, t in state_dict.items()}
    content = {"format": FORMAT, "state_dict": tensors, "spec": spec.to_dict(), "config": config_yaml, **facts}
    if recipe:
        content["recipe"] = list(recipe)
    durable.write(path, lambda file: torch.save(content, file))


def read_model(path: Path) -> dict[str, Any]:
    """Reads the content of a model file.

    Raises:
        UsageError: not a model file, damaged, or one that would run code when loaded.
    """
    try:
        check_zip(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UsageError("there is no such file", str(path), "`bmx runs list` shows what there is") from error
    except Damaged as error:
        fix = "take another copy of it, or the best.ckpt of another run"
        raise UsageError(f"the file is damaged and was not loaded: {error}", str(path), fix) from error
    except Exception as error:
        raise UsageError(
            "the file is damaged or holds more than plain tensors, and was not loaded",
            str(path),
            "use the best.ckpt of a finished run",
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UsageError("the file is not a model that bmx wrote", str(path), "use the best.ckpt of a run")
    return content


def load_model(path: Path) -> Predictor:
    """Loads the model of a file that :func:`save_model` wrote, in eval mode on the CPU."""
    content = read_model(path)
    spec = DataSpec.of_file(content["spec"], path)
    config = OmegaConf.create(content["config"])
    assert isinstance(config, DictConfig)
    recipe = content.get("recipe", [])
    net = rebuild(make_model(judged(config.model, "model", path), spec), recipe, path)
    predictor = Predictor(net, InputStage(spec), spec, config, recipe, origin=content.get("origin"))
    floating = next((t for t in content["state_dict"].values() if t.is_floating_point()), None)
    if floating is not None:
        predictor.to(floating.dtype)
    try:
        predictor.load_state_dict(predictor.output_stage.completed(content["state_dict"]))
    except RuntimeError as error:  # torch lists every tensor that differs
        told = next((line.strip() for line in str(error).splitlines()[1:] if line.strip()), str(error))
        fix = "use the code that the run was made with, or train it again"
        raise UsageError(
            f"the weights are of another model than its code makes: {told[:150]}", str(path), fix
        ) from error
    lay_out(net, config, spec)
    return predictor.eval()


def lay_out(net: nn.Module, config: DictConfig, spec: DataSpec) -> None:
    """Converts the weights to the memory format the run computes in, which affects the last digits of results."""
    if spec.form.channels_last and config.trainer.channels_last:
        net.to(memory_format=torch.channels_last)
