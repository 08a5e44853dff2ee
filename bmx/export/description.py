"""Metadata of an exported model (data spec, preprocessing, configuration), as text that any format can carry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from bmx.compression.recipe import Step
from bmx.data.pipeline.input_stage import InputStage
from bmx.data.pipeline.output_stage import OutputStage
from bmx.data.spec import DataSpec
from bmx.engine.predictor import Predictor

FORMAT = "bmx-export/1"
INSIDE, BESIDE = "inside", "beside"


@dataclass(frozen=True)
class Description:
    """Metadata stored with exported weights.

    Attributes:
        spec: of the data it was trained on: shapes, labels, vocabulary.
        config: the configuration of the run it comes from.
        preprocessing: ``inside``, the file takes raw samples; ``beside``, it takes what :meth:`stage_before` returns.
        statistics: scale and shift of the preprocessing, nested lists; empty for tokens.
        input_dtype: data type of the file's input, such as ``uint8``.
        cost: of the model when it was exported.
        recipe: compression steps applied to the architecture that the configuration builds.
        target_statistics: scale and shift from the net's outputs to the units of the targets, nested lists; empty for
            classes. A graph contains that conversion; code that builds the net from weights has to apply it.
        origin: provenance of that run; see :mod:`bmx.runs.origin`.
    """

    spec: DataSpec
    config: DictConfig
    preprocessing: str
    statistics: dict[str, Any]
    input_dtype: str
    cost: dict[str, int] = field(default_factory=dict)
    recipe: list[Step] = field(default_factory=list)
    target_statistics: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)

    def input_stage(self) -> InputStage:
        """The preprocessing, with its statistics in float64, which represents those of any precision exactly."""
        stage = InputStage(self.spec).double()
        values = {name: torch.tensor(numbers, dtype=torch.float64) for name, numbers in self.statistics.items()}
        stage.load_state_dict(values)
        return stage.eval()

    def output_stage(self) -> OutputStage:
        """The conversion of the net's outputs, with its statistics in float64; the identity where there are none."""
        stage = OutputStage(self.spec).double()
        values = {name: torch.tensor(numbers, dtype=torch.float64) for name, numbers in self.target_statistics.items()}
        stage.load_state_dict({name: values.get(name, old) for name, old in stage.state_dict().items()})
        return stage.eval()

    def stage_before(self) -> InputStage | None:
        """The preprocessing that is not in the file, in the precision of the file's input; None for none."""
        if self.preprocessing == INSIDE:
            return None
        dtype = dtype_named(self.input_dtype)
        return self.input_stage().to(dtype) if dtype.is_floating_point else self.input_stage()

    def to_text(self) -> dict[str, str]:
        """Keys and values as text; ``labels`` additionally on its own, for readers of nothing else."""
        return {
            "format": FORMAT,
            "labels": json.dumps(list(self.spec.labels), ensure_ascii=False),
            "preprocessing": self.preprocessing,
            "statistics": json.dumps(self.statistics),
            "input_dtype": self.input_dtype,
            "spec": json.dumps(self.spec.to_dict(), ensure_ascii=False),
            "cost": json.dumps(self.cost),
            "config": OmegaConf.to_yaml(self.config, resolve=True),
            **({"recipe": json.dumps(self.recipe)} if self.recipe else {}),
            **({"target_statistics": json.dumps(self.target_statistics)} if self.target_statistics else {}),
            **({"origin": json.dumps(self.origin)} if self.origin else {}),
        }

    @classmethod
    def from_text(cls, text: Mapping[str, str], file: Path) -> Description:
        """The inverse of :meth:`to_text`, for text read from ``file``.

        Raises:
            ValueError: the text was not written by bmx.
            UsageError: the kind of data is unknown here, or is not trusted.
        """
        if text.get("format") != FORMAT:
            raise ValueError("it does not say that bmx wrote it")
        try:
            config = OmegaConf.create(text["config"])
            assert isinstance(config, DictConfig)
            return cls(
                DataSpec.of_file(json.loads(text["spec"]), file),
                config,
                text["preprocessing"],
                json.loads(text["statistics"]),
                text["input_dtype"],
                json.loads(text["cost"]),
                json.loads(text.get("recipe", "[]")),
                json.loads(text.get("target_statistics", "{}")),
                json.loads(text.get("origin", "{}")),
            )
        except (KeyError, TypeError, AssertionError) as error:
            raise ValueError(f"its description is incomplete: {error}") from error

    def for_people(self) -> dict[str, Any]:
        """Content of the JSON file next to an export: how to prepare its inputs and interpret its outputs."""
        spec = self.spec
        raw = spec.form.values
        takes = f"raw {raw}" if self.preprocessing == INSIDE else f"{raw} after `statistics`: x * scale + shift"
        return {
            "format": FORMAT,
            "input": {"takes": takes, "dtype": self.input_dtype, "shape": ["batch", *spec.input_shape]},
            "output": "logits" if spec.task == "classification" else "predicted value, in the units of the targets",
            "labels": list(spec.labels),
            "preprocessing": self.preprocessing,
            "statistics": self.statistics,
            **({"target_statistics": self.target_statistics} if self.target_statistics else {}),
            **spec.form.description(spec),
            "cost": self.cost,
        }


def describe(predictor: Predictor, preprocessing: str, raw_dtype: torch.dtype, cost: dict[str, int]) -> Description:
    """The description of a predictor that is about to be exported; ``raw_dtype`` is that of the stored samples."""
    return Description(
        predictor.spec,
        predictor.config,
        preprocessing,
        {name: _exact(tensor) for name, tensor in predictor.input_stage.state_dict().items()},
        str(input_dtype(predictor, preprocessing, raw_dtype)).removeprefix("torch."),
        cost,
        predictor.recipe,
        {name: _exact(tensor) for name, tensor in predictor.output_stage.state_dict().items()},
        predictor.origin,
    )


def dtype_named(name: str) -> torch.dtype:
    """The torch dtype of a name that a file gives.

    Raises:
        ValueError: there is no such dtype; other attributes of torch by that name do not count.
    """
    found = getattr(torch, str(name), None)
    if not isinstance(found, torch.dtype):
        raise ValueError(f"torch has no numbers of the type {str(name)[:40]!r}")
    return found


def input_dtype(predictor: Predictor, preprocessing: str, raw_dtype: torch.dtype) -> torch.dtype:
    """Data type of the exported file's input."""
    if predictor.spec.form.ids:
        return torch.int64  # supported by every runtime for ids, however narrow they are stored
    if preprocessing == BESIDE:
        return next((p.dtype for p in predictor.net.parameters() if p.is_floating_point()), torch.float32)
    return raw_dtype


def _exact(tensor: Tensor) -> Any:
    return tensor.detach().double().cpu().tolist()
