"""Validates the overrides and the config directory that a resumed run brings; they are untrusted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bmx.errors import UsageError

# Hydra settings that build objects, find files or affect the process.
_OF_HYDRA = (
    *("callbacks", "launcher", "sweeper", "job_logging", "hydra_logging", "searchpath", "output_subdir", "mode"),
    *("help", "hydra_help", "verbose"),
)
_OF_JOB = ("env_set", "env_copy", "chdir", "config")


def check_words(words: Iterable[str], run: Path) -> None:
    """Rejects recorded overrides about Hydra itself, which bmx never stores in a run.

    Raises:
        UsageError: there is one.
    """
    for word in words:
        parts = re.split(r"[@/:.]", word.partition("=")[0].lstrip("+~"))
        if any(part.startswith("hydra") for part in parts):
            where = str(run / ".hydra" / "overrides.yaml")
            what = f"the run brings the word '{word[:80]}', which is about Hydra itself and not about the run"
            raise UsageError(what, where, "take the word out of that file; if you want it, write it yourself")


def check_folder(verb: str, words: list[str], added: list[str], folder: str, run: Path) -> None:
    """Rejects a run's config directory that lies inside the run or sets Hydra's own settings.

    Raises:
        UsageError: it does.
    """
    from bmx.config.overrides import rewrite_words
    from bmx.config.raw import compose_raw
    from bmx.config.verbs import VERBS

    where = f"--config-dir in {run / '.hydra' / 'hydra.yaml'}"
    fix = f"read it, and if it is yours add --config-dir {folder}"
    if Path(folder).resolve().is_relative_to(run.resolve()):
        raise UsageError(f"the run brings a folder of words along, {folder}; it was not read", where, fix)
    usual = [word for word in rewrite_words(added, VERBS[verb]) if word.lstrip("+~").startswith("hydra")]
    before = _of_hydra(compose_raw(verb, usual).config)
    now = _of_hydra(compose_raw(verb, rewrite_words([*words, *added], VERBS[verb]), folder).config)
    for key in now:
        if now[key] != before.get(key):
            raise UsageError(f"the folder of words {folder} of this run sets hydra.{key}; it was not used", where, fix)


def _of_hydra(config: DictConfig) -> dict[str, Any]:
    plain = OmegaConf.to_container(config.hydra, resolve=False)
    assert isinstance(plain, dict)
    job = plain.get("job") or {}
    return {key: plain.get(key) for key in _OF_HYDRA} | {f"job.{key}": job.get(key) for key in _OF_JOB}
