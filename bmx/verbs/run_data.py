"""The data that a finished run is measured on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from bmx.data.prepare import DataSet, prepare
from bmx.data.spec import DataSpec
from bmx.engine.build import make_source, source_name
from bmx.engine.judging import judged
from bmx.errors import UsageError


def data_for(cfg: DictConfig, spec: DataSpec, own: DictConfig, source: Path) -> DataSet:
    """The run's own data, split as it was, or what ``data=`` names.

    Args:
        cfg: of the verb; its ``data`` may be null or missing.
        spec: what the model was trained on.
        own: the configuration of the run.
        source: the file that it comes from.

    Raises:
        UsageError: the data are of another shape than the model takes, or cannot be loaded.
    """
    chosen = cast(DictConfig | None, OmegaConf.select(cfg, "data"))
    group = chosen if chosen is not None else judged(own.get("data"), "data", source)
    left_out = group.get("leave_out") or ()
    data = prepare(make_source(group), group.val_size, int(own.seed), left_out, source_name(group))
    now = data.spec
    for fact in ("kind", "input_shape", "num_classes"):
        if getattr(spec, fact) != getattr(now, fact):
            raise UsageError(
                f"the model was trained on {fact.replace('_', ' ')} {_say(getattr(spec, fact))}, "
                f"{now.name} has {_say(getattr(now, fact))}",
                f"data={now.name}",
                "choose data of the same shape",
            )
    if spec.vocabulary != now.vocabulary:
        raise UsageError("the model was trained with another vocabulary", f"data={now.name}", "use the run's own data")
    return data


def _say(value: Any) -> str:
    return "×".join(map(str, value)) if isinstance(value, tuple) else str(value)
