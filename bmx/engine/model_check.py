"""Checks that a model accepts its data and returns outputs that fit the task, by shapes on the meta device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from bmx.data.pipeline.input_stage import InputStage
from bmx.data.pipeline.prepare import DataSet
from bmx.data.spec import DataSpec
from bmx.engine.build import make_model
from bmx.errors import UsageError
from bmx.targets.blame import described, root_cause, user_line


def check_model(cfg: DictConfig, data: DataSet, make_net: Callable[[DataSpec], nn.Module] | None = None) -> nn.Module:
    """Runs a batch through the model on the meta device, without memory or arithmetic; returns the model.

    A model that the meta device cannot run is run on the CPU.

    Raises:
        UsageError: the model cannot take this data, or its output does not fit the targets.
    """
    spec, words = data.spec, f"model={_word(cfg, 'model')} data={data.spec.name}"
    if cfg.regularization.dropout > 0 and not _mentions_dropout(cfg.model):
        fix = "choose another regularization, or a model with a dropout field (see --help)"
        raise UsageError(f"{words.split()[0]} has no dropout", "regularization.dropout", fix)
    make_net = make_net or (lambda spec: make_model(cfg.model, spec))
    net = _made(make_net, spec)
    if type(net).forward is nn.Module.forward:
        raise UsageError(f"{type(net).__name__} has no forward()", "model._target_", "write its forward(self, x)")
    stage = InputStage(spec)
    example = data.train.inputs[:1].repeat(2, *[1] * (data.train.inputs.ndim - 1))
    inputs = stage(example)
    net.to("meta").train()
    try:
        with torch.no_grad():
            outputs = net(inputs.to("meta"))
    except Exception:  # a failure on shapes alone is not conclusive: the model may run on real numbers
        try:
            with torch.no_grad():
                outputs = _made(make_net, spec, "cpu").train()(inputs)
        except Exception as real:
            raise _misfit(real, inputs, words) from real
    _check_outputs(outputs, spec.num_classes, words)
    return net


def _made(make_net: Callable[[DataSpec], nn.Module], spec: DataSpec, device: str = "meta") -> nn.Module:
    """Builds the model on a device; on the CPU, where its constructor reads tensor values."""
    try:
        with torch.device(device):
            return make_net(spec)
    except (NotImplementedError, UsageError) as error:
        # Weights that are read from a file cannot be loaded on the meta device.
        if device == "meta" and (isinstance(error, NotImplementedError) or _is_about_meta(root_cause(error))):
            return _made(make_net, spec, "cpu")
        if isinstance(error, UsageError):
            raise
        line = user_line(error)
        where = f"model; {line}" if line is not None else "model"
        raise UsageError(f"the model cannot be made: {described(error)}", where, "write what is missing") from error


def _is_about_meta(error: BaseException) -> bool:
    """Whether an error comes from reading the values of a meta tensor."""
    return "meta" in str(error).lower() and isinstance(error, NotImplementedError | RuntimeError)


def _misfit(error: Exception, inputs: Tensor, words: str) -> UsageError:
    """The error for a model that fails on the data, with the failing line of the user's code."""
    line = user_line(error)
    shown = f"{words}, input {'×'.join(map(str, inputs.shape[1:]))} {str(inputs.dtype).removeprefix('torch.')}"
    if isinstance(error, UsageError):
        return error
    fits_not = RuntimeError | ValueError | IndexError | TypeError | AssertionError
    if isinstance(error, fits_not) and not isinstance(error, NotImplementedError):
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        fix = "choose a model for this kind of data, or change the model's fields (see --help)"
        where = f"{shown}; {line}" if line is not None else shown
        return UsageError(f"the model does not take this data: {first}", where, fix)
    where = f"model; {line}" if line is not None else shown
    return UsageError(
        f"the model fails: {described(error)}", where, "mend that line" if line else "choose another model"
    )


def _check_outputs(outputs: Any, classes: int, words: str) -> None:
    if not isinstance(outputs, Tensor):
        fix = "have its forward() return one tensor: a row of logits for each sample"
        raise UsageError(f"the model returns a {type(outputs).__name__}, not a tensor of logits", words, fix)
    binary = classes == 2 and outputs.shape[1:] == (1,)
    if outputs.shape != (2, classes or 1) and not binary:
        shape = "×".join(map(str, outputs.shape[1:]))
        raise UsageError(
            f"the model gives {shape or 'no'} outputs for {classes or 1} targets",
            words,
            "set its number of outputs, or leave it to the data",
        )


def _mentions_dropout(model: DictConfig) -> bool:
    return any("dropout" in str(key) for key in model)


def _word(cfg: DictConfig, group: str) -> str:
    return str(OmegaConf.select(cfg, f"{group}._target_", default=group)).rpartition(".")[2]
