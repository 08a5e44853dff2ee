"""Finds the directory of a sweep made by the same command, or creates a new one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, open_dict

from bmx.config.compose import hydra_config
from bmx.config.declared import text_of
from bmx.config.override_errors import is_group_choice
from bmx.config.quoting import quoted
from bmx.config.request import Asked
from bmx.config.run_name import AUTO, run_name
from bmx.sweep import directory
from bmx.sweep.config_hash import code_in, content, digest
from bmx.sweep.plan import Plan


def made_before(config: DictConfig, plan: Plan, settings: dict[str, Any], search: bool) -> Path | None:
    """The directory that the same command has made before; for a search, only if that has finished."""
    given = str(config.hydra.sweep.dir)
    if settings.get("fresh"):
        return None
    try:
        if search:
            plan.asked = identity(plan, settings)
            found = directory.find(plan.outputs, "asked", plan.asked) if given == AUTO else Path(given)
            known = directory.read(found) if found is not None else {}
            over = known.get("over", {}) if known.get("asked") == plan.asked else {}
            return found if over.get("trials", 0) >= (settings.get("trials") or math.inf) else None
        if given != AUTO:
            return Path(given) if Path(given).exists() else None
        return directory.find(plan.outputs, "identity", identity(plan, settings))
    except Exception:  # composition errors are reported where all of it is composed
        return None


def find_directory(config: DictConfig, plan: Plan, settings: dict[str, Any], asked: Asked) -> None:
    """Finds or creates the directory and sets ``hydra.sweep.dir``."""
    loader = plan.composer.loader
    chosen = [o for o in plan.words.listed if is_group_choice(o, loader)]
    words = {o.key_or_group: list(o.sweep_string_iterator()) for o in chosen}
    name = text_of("name", config, asked, loader) or run_name(config, words)
    plan.identity = identity(plan, settings)
    given = str(config.hydra.sweep.dir)
    if given == AUTO:
        path, plan.found = directory.find_or_make(plan.outputs, name, plan.identity, bool(settings.get("fresh")))
    else:
        path, plan.found = Path(given), Path(given).exists()
        path.mkdir(parents=True, exist_ok=True)
    config.hydra.sweep.dir = str(path)
    # Other launchers compose each job anew from these overrides.
    with open_dict(config.hydra.overrides):
        config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(str(path))}")


def identity(plan: Plan, settings: dict[str, Any]) -> str:
    """Hash of the configuration without swept keys, and of the keys themselves; for a search, of their ranges too."""
    with hydra_config(plan.composer.base(plan.words.fixed)):
        base = content(plan.composer.compose((*plan.words.fixed, *plan.passed_on)))
    base.pop("seed", None)  # a seed repeats a sweep, it does not make another one
    keys = sorted(override.get_key_element() for override in plan.words.swept)
    search = None
    if plan.space is not None:
        names = [one.name for one in plan.objectives] + [f"{one.name}:{one.bound}" for one in plan.bounds]
        search = [str(plan.space), names, settings["sampler"], settings["pruner"], settings.get("seed")]
        search.append(list(plan.words.seeds))
    elif settings.get("sampler"):  # a search whose space is not known yet: its overrides
        search = [[word.input_line for word in plan.words.swept], settings.get("space"), settings.get("objective")]
        search += [settings["sampler"], settings["pruner"], settings.get("seed"), list(plan.words.seeds)]
    return digest({"verb": plan.verb, "base": base, "keys": keys, "search": search, **code_in(base)})
