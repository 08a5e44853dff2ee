"""Loads models from any supported file: checkpoints of runs and exported files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import nn

from bmx.config.formats import format_of, formats
from bmx.data.pipeline.random_inputs import random_inputs
from bmx.data.spec import DataSpec
from bmx.engine.predictor import Predictor, load_model
from bmx.errors import BmxError, UsageError
from bmx.export.description import Description
from bmx.extras import need
from bmx.measure.cost import Cost, cost_of
from bmx.runs.origin import origin_of
from bmx.targets.entry_point import locate


@dataclass(frozen=True)
class Loaded:
    """A model that was read from a file.

    Attributes:
        model: maps raw samples to logits, in eval mode on the CPU.
        spec: of the data it was trained on.
        config: of the run it comes from.
        file: the file it was read from.
        description: metadata of an exported file; None for a checkpoint.
        format: of an exported file; empty for a checkpoint.
    """

    model: nn.Module
    spec: DataSpec
    config: DictConfig
    file: Path
    description: Description | None = None
    format: str = ""

    @property
    def origin(self) -> dict[str, Any]:
        """Provenance of the run it comes from; empty where it was not recorded."""
        known = getattr(self.model, "origin", None) or (self.description.origin if self.description else None)
        if known or self.file.parent.name != "checkpoints":
            return known or {}
        return origin_of(self.file.parent.parent)

    @property
    def net(self) -> nn.Module | None:
        """The plain model without preprocessing; None for an exported graph."""
        return self.model.net if isinstance(self.model, Predictor) else None

    def cost(self) -> Cost:
        """Cost of the model; for an exported graph the counts at export, and the size of the file."""
        if isinstance(self.model, Predictor):
            net = self.model.net.cpu()
            cost = cost_of(net, random_inputs(self.spec, 1, dtype_of(net)))
            if self.format and formats()[self.format].own_size:
                return replace(cost, bytes=self.file.stat().st_size)
            return cost
        counted = self.description.cost if self.description is not None else {}
        known = {name: counted.get(name, 0) for name in Cost.__dataclass_fields__}
        return Cost(**{**known, "bytes": self.file.stat().st_size})

    @property
    def predictor(self) -> Predictor:
        """The model, unless it is an exported graph."""
        assert isinstance(self.model, Predictor)
        return self.model


def dtype_of(net: nn.Module) -> torch.dtype:
    """Data type of a model's weights, which its inputs must have; float32 where it has none."""
    return next((p.dtype for p in net.parameters() if p.is_floating_point()), torch.float32)


def load(file: Path) -> Loaded:
    """Reads a model file in the format that its name ends in, or else as a checkpoint.

    Raises:
        UsageError: it does not match its format, or the package that reads it is not installed.
    """
    format = format_of(file)
    if not format:
        predictor = load_model(file)
        return Loaded(predictor, predictor.spec, predictor.config, file)
    row = formats()[format]
    if row.extra:
        need(row.extra, str(file))
    try:
        model, description = locate(row.read)(file)
    except BmxError:
        raise
    except Exception as error:  # any error that another package's reader raises on an invalid file
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
        fix = f"export one with `bmx export format={format}`"
        raise UsageError(f"this {format} file cannot be read: {first}", str(file), fix) from error
    return Loaded(model, description.spec, description.config, file, description, format)


def load_plain(file: Path) -> Loaded:
    """Reads a checkpoint, or a file of weights: models that can be compressed, distilled and used as teachers.

    Raises:
        UsageError: it does not match its format, or is an exported graph.
    """
    format = format_of(file)
    if format and not formats()[format].of_weights:
        suffixes = " or ".join(row.suffix for row in formats().values() if row.of_weights)
        fix = f"name the run that it was exported from, or a {suffixes} file"
        raise UsageError("this file is a finished graph, no model that can be taken apart", str(file), fix)
    return load(file)


def load_predictor(file: Path) -> Predictor:
    """The model of :func:`load_plain`.

    Raises:
        UsageError: as there.
    """
    return load_plain(file).predictor
