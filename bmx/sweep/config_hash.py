"""Content hash of a resolved configuration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from bmx.runs.best_job import tell
from bmx.runs.pinning import pinned
from bmx.runs.source_code import own_code

# The directory of a run, its name and its plots do not change what it computes.
UNRELATED = ("name", "outputs", "resume", "accept_changes", "plots", "trust", "hydra")
# Keys that earlier versions lacked, with the value that computes what those computed: sweeps of theirs are found again.
_ADDED = {"devices": 1}
# Keys that refer to another run, possibly by a reference that changes over time.
_REFERENCES = ("run", "init_from", "teacher", "student")


def job_key(verb: str, config: DictConfig) -> str:
    """Content hash of a job: twelve hex digits, equal for the same resolved configuration and code.

    Args:
        verb: the verb that runs it.
        config: the composed configuration of the job.
    """
    plain = content(config)
    return digest({"verb": verb, "config": plain, **code_in(plain)})


def code_in(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Hashes of the user's own code that a configuration names, part of its identity; empty for none."""
    code = {name: hashes["code"] for name, hashes in own_code(plain).items()}
    return {"code": code} if code else {}


def content(config: DictConfig) -> dict[str, Any]:
    """The resolved configuration without keys that do not affect the result; ``latest`` becomes the run it means."""
    outputs = Path(str(config.get("outputs") or "outputs"))
    with open_dict(config):
        if "name" in config and config.name is None:
            config.name = "job"  # so that ${name} elsewhere resolves the same
    try:
        plain = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException:  # what cannot be resolved yet is hashed unresolved
        plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    kept = {str(key): value for key, value in plain.items() if key not in UNRELATED}
    for key, value in _ADDED.items():
        if kept.get(key) == value:
            del kept[key]
    for key in _REFERENCES:
        named = kept.get(key)
        if isinstance(named, str):
            kept[key] = _meant(key, named, outputs)
        elif isinstance(named, list):
            kept[key] = [_meant(key, str(one), outputs) for one in named]
    return kept


def latest_runs(config: DictConfig) -> dict[str, str | list[str]]:
    """The directories of runs that the configuration names by a reference such as ``latest``, by key."""
    outputs = Path(str(config.get("outputs") or "outputs"))
    found: dict[str, str | list[str]] = {}
    for key in _REFERENCES:
        named = config.get(key)
        if isinstance(named, str | int) and (run := _meant(key, str(named), outputs, told=True)) != str(named):
            found[key] = run
        elif OmegaConf.is_list(named):
            runs = [_meant(key, str(one), outputs, told=True) for one in named]
            if runs != [str(one) for one in named]:
                found[key] = runs
    return found


def digest(value: Any) -> str:
    """Twelve hex digits of a plain value; the order of keys does not matter, 1 and 1.0 are equal."""
    text = json.dumps(_canonical(value), sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _canonical(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(inner) for inner in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value


def _meant(key: str, reference: str, outputs: Path, told: bool = False) -> str:
    # `init_from=latest` is not the sweep itself, when its command is repeated to resume it.
    return pinned(reference, outputs, key, sweeps=key != "init_from", told=tell if told else None)
