"""Loads the data that a trained model is evaluated on, and reports what has changed since its run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from bmx.data.pipeline.prepare import DataSet, prepare
from bmx.data.spec import DataSpec
from bmx.engine.build import BATCHING_KEYS, make_source, source_name
from bmx.engine.trust_check import judged
from bmx.errors import UsageError
from bmx.export.reading import Loaded
from bmx.runs.origin import changes, origin


def data_for(cfg: DictConfig, spec: DataSpec, own: DictConfig, source: Path) -> DataSet:
    """Loads the run's own data with the same split, or what ``data=`` names.

    Args:
        cfg: of the verb; its ``data`` may be null or missing.
        spec: of the data that the model was trained on.
        own: the configuration of the run.
        source: the file that the configuration comes from.

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


def what_changed(loaded: Loaded, data: DataSet | None = None, group: Any = None) -> list[str]:
    """Sentences on what has changed since a run was made: its data, the user's code, versions.

    Args:
        loaded: the model of the run.
        data: the data to compare with; None for none.
        group: the ``data`` group they were made from; None for the run's own. Other data are no change.
    """
    config = OmegaConf.to_container(loaded.config, resolve=True)
    assert isinstance(config, dict)
    own = data is not None and (group is None or _set(group) == _set(config.get("data")))
    name, marks = (data.spec.name, data.marks) if data is not None and own else (loaded.spec.name, ())
    return changes(loaded.origin, origin(config, name, marks)).lines()


def _set(group: Any) -> Any:
    """The fields of a data group that identify the set, without its split, reading options and location."""
    plain = OmegaConf.to_container(group, resolve=True) if OmegaConf.is_config(group) else group
    fields = plain.items() if isinstance(plain, dict) else ()
    return {key: value for key, value in fields if key not in (*BATCHING_KEYS, "dir")}


def tell(told: Iterable[str], quiet: bool) -> None:
    """Prints what has changed, a line each."""
    for line in () if quiet else told:
        print(f"note: {line}", flush=True)


def _say(value: Any) -> str:
    return "×".join(map(str, value)) if isinstance(value, tuple) else str(value)
