"""What an exported file says of itself, in text that any format can carry."""

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
    """The facts that travel with exported weights.

    Attributes:
        spec: the data it was trained on: shapes, labels, vocabulary.
        config: the configuration of the run it comes from.
        preprocessing: ``inside``, the file takes raw samples; ``beside``, it takes what :meth:`stage_before` returns.
        statistics: scale and shift of the preprocessing, nested lists; empty for tokens.
        input_dtype: what the file takes, such as ``uint8``.
        cost: of the model when it was exported.
        recipe: what compression did to the architecture that the configuration builds.
        target_statistics: scale and shift from what the net gives to predictions in the units of the targets, nested
            lists; empty for classes. A graph does that itself; whoever builds the net from weights has to.
        origin: what that run was made from; see :mod:`bmx.runs.origin`.
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
        """The preprocessing with its statistics in float64, which hold those of any precision exactly."""
        stage = InputStage(self.spec).double()
        values = {name: torch.tensor(numbers, dtype=torch.float64) for name, numbers in self.statistics.items()}
        stage.load_state_dict(values)
        return stage.eval()

    def output_stage(self) -> OutputStage:
        """What follows the net, with its statistics in float64; the identity where the file has none."""
        stage = OutputStage(self.spec).double()
        values = {name: torch.tensor(numbers, dtype=torch.float64) for name, numbers in self.target_statistics.items()}
        stage.load_state_dict({name: values.get(name, old) for name, old in stage.state_dict().items()})
        return stage.eval()

    def stage_before(self) -> InputStage | None:
        """The preprocessing that the file leaves to its reader, in the precision the file takes; None for none."""
        if self.preprocessing == INSIDE:
            return None
        dtype = dtype_named(self.input_dtype)
        return self.input_stage().to(dtype) if dtype.is_floating_point else self.input_stage()

    def to_text(self) -> dict[str, str]:
        """Keys and values as text; ``labels`` once more by itself, for those who read nothing else."""
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
        """The inverse of :meth:`to_text`, of what was found in ``file``.

        Raises:
            ValueError: the text is not what bmx writes.
            UsageError: the data are of a kind that nothing here brings, or that nobody trusts.
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
        """What the JSON file beside an export holds: how to feed it, and what its answers mean."""
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
    """The type of numbers that a file says it takes.

    Raises:
        ValueError: there is no such type; whatever else torch has by that name is none.
    """
    found = getattr(torch, str(name), None)
    if not isinstance(found, torch.dtype):
        raise ValueError(f"torch has no numbers of the type {str(name)[:40]!r}")
    return found


def input_dtype(predictor: Predictor, preprocessing: str, raw_dtype: torch.dtype) -> torch.dtype:
    """The type of the numbers that the exported file takes."""
    if predictor.spec.form.ids:
        return torch.int64  # what every runtime takes for ids, however narrow they are stored
    if preprocessing == BESIDE:
        return next((p.dtype for p in predictor.net.parameters() if p.is_floating_point()), torch.float32)
    return raw_dtype


def _exact(tensor: Tensor) -> Any:
    return tensor.detach().double().cpu().tolist()
