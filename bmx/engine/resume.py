"""Resumes runs: finds the newest intact checkpoint, and rejects one that does not fit the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import nn

from bmx.engine.checkpoints import LAST, PREVIOUS
from bmx.engine.zip_check import check_zip
from bmx.errors import RunFailed, UsageError

# Keys that define a run: with other values it would be another run. The rest may change on resume.
_FIXED = (
    *("model", "data", "augmentation", "optim._target_", "batch_size", "seed", "precision", "init_from"),
    *("run", "compression"),
    *("student", "teacher", "teacher_fields", "teacher_epochs", "teacher_seeds", "teacher_words", "distillation"),
)
_FREE = ("data.dir", "data.workers", "data.in_memory")


@dataclass(frozen=True)
class Resumed:
    """The checkpoint that a run resumes from.

    Attributes:
        path: the checkpoint; None if the run was stopped before its first.
        state: its content; empty without one.
        note: to the user, if it is not the last checkpoint.
        told: changes since the checkpoint, in sentences for the user and for result.json.
    """

    path: Path | None
    state: dict[str, Any]
    note: str
    told: tuple[str, ...] = ()


def find_state(folder: Path) -> Resumed:
    """Finds the newest intact checkpoint in ``folder``.

    Raises:
        RunFailed: there are checkpoints, and none can be read.
    """
    reasons = []
    for name in (LAST, PREVIOUS):
        path = folder / name
        if not path.exists():
            continue
        try:
            check_zip(path)
            content = torch.load(path, map_location="cpu", weights_only=True)
            if not isinstance(content, dict) or "bmx" not in content:
                raise ValueError("it was not written by bmx")
        except Exception as error:
            reasons.append(f"{name}: {(str(error).strip() or type(error).__name__).splitlines()[0][:120]}")
            continue
        note = f"{reasons[0].split(':')[0]} is damaged; going on from {name}, the one before it" if reasons else ""
        return Resumed(path, content, note)
    if reasons:
        raise RunFailed(
            f"no checkpoint of this run can be read ({'; '.join(reasons)})",
            str(folder),
            "start the run again with the command in its config.yaml; nothing was deleted",
        )
    return Resumed(None, {}, "")


def check_unchanged(state: dict[str, Any], config_yaml: str, where: str) -> None:
    """Rejects overrides of the keys that define a run.

    Raises:
        UsageError: names the first such key, with its old and new value.
    """
    before, now = _flat(str(state["bmx"]["config"])), _flat(config_yaml)
    for said in (before, now):
        # An empty list of classes equals no list, which older configurations have.
        said["data.leave_out"] = said.get("data.leave_out") or []
    for key in sorted(before.keys() | now.keys()):
        fixed = any(key == name or key.startswith(f"{name}.") for name in _FIXED) and key not in _FREE
        if fixed and before.get(key) != now.get(key):
            raise UsageError(
                f"{key} cannot change on resume: it was {before.get(key)!r}, the command says {now.get(key)!r}",
                where,
                "drop it to go on with the run, or start a new one without resume=",
            )


def check_same_scheduler(state: dict[str, Any], made_with: dict[str, Any], where: str) -> None:
    """Rejects another torch scheduler than the run began with: schedulers update the rate recursively.

    Args:
        state: of the checkpoint; empty if there is none.
        made_with: the scheduler's arguments now.
        where: the argument, for messages.

    Raises:
        UsageError: names the first argument that has changed.
    """
    kept = ((state.get("bmx") or {}).get("rates") or {}).get("torch")
    if not state:
        return
    before = kept["arguments"] if kept is not None else {"class": "one of bmx's own"}
    for name in [*before, *made_with]:
        if before.get(name) != made_with.get(name):
            raise UsageError(
                f"the scheduler {made_with['class']} of this run was made with {name}={before.get(name)}, and not with "
                f"{made_with.get(name)}",
                where,
                "go on with the same epochs, rate and scheduler; bmx's own schedulers may change on resume",
            )


def check_averaging(state: dict[str, Any], averages: bool, where: str) -> None:
    """Rejects a resume without the run's weight-averaging callback: the averaged weights would be trained instead.

    Args:
        state: of the checkpoint; empty if there is none.
        averages: whether the command has such a callback.
        where: the argument, for messages.

    Raises:
        UsageError: the command has none, and the run had one.
    """
    if "current_model_state" in state and not averages:
        name = next((key for key in state["callbacks"] if "Averag" in key), "a callback")
        raise UsageError(
            f"this run averages its weights with {name}, and the command has no such callback",
            where,
            "leave trainer.callbacks out to go on with the run's own, or keep that one in it",
        )


def check_fits(state: dict[str, Any], model: nn.Module, path: Path) -> None:
    """Rejects a checkpoint of another model.

    Raises:
        UsageError: names the first tensor that is missing, unexpected or of another shape.
    """
    tensors = {name.removeprefix("net."): t for name, t in state["state_dict"].items() if name.startswith("net.")}
    have = {name: tuple(t.shape) for name, t in tensors.items()}
    want = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    for name in [*want, *have]:
        if have.get(name) != want.get(name):
            raise UsageError(
                f"the checkpoint is of another model: {name} is {_shape(have.get(name))} there and "
                f"{_shape(want.get(name))} here",
                str(path),
                "resume the run this checkpoint belongs to",
            )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else "×".join(map(str, shape)) or "a number"


def _flat(config_yaml: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), inner)
        else:
            flat[prefix] = value

    walk("", OmegaConf.to_container(OmegaConf.create(config_yaml)))
    return flat
