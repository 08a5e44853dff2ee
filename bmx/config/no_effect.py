"""Rejects overrides that have no effect in this command, each with the reason and a remedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bmx.config.many import Composer
from bmx.config.no_effect_rules import RULES, Idle, Settings, of_formats
from bmx.config.request import Asked
from bmx.errors import UsageError
from bmx.runs.report.commands import provide

# Values that switch something off are accepted where it is off already.
_OFF = ("null", "false", "[]", "{}", "")


def refuse_idle(config: DictConfig, asked: Asked) -> None:
    """Raises UsageError for the first override that was typed and has no effect."""
    for error in idle_words(config, asked).values():
        raise error


def refuse_idle_in_all(jobs: Iterable[tuple[DictConfig, Asked]]) -> None:
    """Raises UsageError for the first override that has no effect in any job of a sweep."""
    left: dict[str, UsageError] | None = None
    for config, asked in jobs:
        found = idle_words(config, asked)
        left = found if left is None else {key: error for key, error in left.items() if key in found}
        if not left:
            return
    for error in (left or {}).values():
        raise error


def idle_words(config: DictConfig, asked: Asked) -> dict[str, UsageError]:
    """The typed keys without effect, each with its error; keys set by a file are not checked."""
    found: dict[str, UsageError] = {}
    get = _reader(config)
    last = {word.partition("=")[0].lstrip("+"): word for word in asked.words if not word.startswith("~")}
    for key, word in last.items():
        if word.partition("=")[2] in _OFF:
            continue
        reason = _of_stage(key, get) or _reason(key, asked.verb, get)
        if reason is not None:
            fix = f"add {reason[1]}, or leave it out" if reason[1] else "leave it out"
            found[key] = UsageError(f"{key} has no effect here: {reason[0]}", f"the argument '{word}'", fix)
    return found


def _reason(key: str, verb: str, get: Settings) -> tuple[str, str] | None:
    """Why a key has no effect, and the overrides that would give it one."""
    rule = next((rule for rule in (*RULES, *of_formats()) if _applies(rule, key, verb) and rule.when(get)), None)
    return None if rule is None else (rule.because, rule.fix)


def _of_stage(key: str, get: Settings) -> tuple[str, str] | None:
    """The same for a field of one stage of a pipeline, ``compression.prune.sparsity``."""
    node, _, rest = key.partition(".")
    stage, dot, field = rest.partition(".")
    if node != "compression" or get("compression._target_") != "pipeline" or not dot:
        return None
    stages = [str(word) for word in get("compression.stages") or []]
    if stage not in stages:
        return f"{stage} is none of the stages", f"stages=[{','.join([stage, *stages])}]"
    own = f"compression.{stage}."

    def inside(name: str) -> Any:
        return get(name.replace("compression.", own, 1) if name.startswith("compression.") else name)

    reason = _reason(f"compression.{field}", "compress", inside)
    return None if reason is None else (reason[0], reason[1].replace("compression.", own))


def _applies(rule: Idle, key: str, verb: str) -> bool:
    verbs = rule.verbs
    named = any(key == name or (name.endswith(".") and key.startswith(name)) for name in rule.keys)
    return named and (not verbs or verb in verbs or (verb == "sweep" and "train" in verbs))


def _reader(config: DictConfig) -> Settings:
    def get(key: str) -> Any:
        try:
            return OmegaConf.select(config, key)
        except Exception:  # an unreadable value is reported elsewhere
            return None

    return get


def idle_keys(verb: str, flags: Sequence[str], words: Sequence[str]) -> set[str]:
    """The keys among the overrides of a job that have no effect in it; none where they do not compose."""
    from bmx.config.verbs import VERBS

    try:
        composer, own = _composer(verb, tuple(flags)), [str(word) for word in words]
        config = composer.compose(own)
        return set(idle_words(config, Asked(verb, VERBS[verb].config, tuple(own))))
    except Exception:  # the command is shown unchanged, and reports the error itself
        return set()


@lru_cache(maxsize=4)
def _composer(verb: str, given: tuple[str, ...]) -> Composer:
    from bmx.config.flags import parse
    from bmx.config.search_path import make_loader
    from bmx.config.verbs import VERBS

    command = parse(verb, list(given))
    loader = make_loader(verb, command.flags.get("--config-dir"), command.flags.get("--config-path"))
    return Composer(loader, command.flags.get("--config-name") or VERBS[verb].config)


provide(idle_keys)
