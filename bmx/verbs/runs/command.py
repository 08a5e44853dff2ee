"""``bmx runs``: lists the runs of an outputs folder."""

from __future__ import annotations

from pathlib import Path

from bmx.config.suggestions import suggestion
from bmx.config.verbs import VERBS
from bmx.errors import UsageError

_KEYS = ("outputs", "limit", "verb")


def main(words: list[str]) -> int:
    """Run one of the sub-verbs of ``bmx runs``; the default is list.

    Raises:
        UsageError: for a sub-verb, key or value that does not exist.
    """
    where = " ".join(["bmx runs", *words])
    if not words or words[0].startswith("-") or "=" in words[0]:
        words = ["list", *words]
    if words[0] != "list":
        raise UsageError(f"no sub-verb '{words[0]}'", where, suggestion(words[0], ["list"], "bmx runs {}"))
    return _list(words[1:], where)


def _plain(value: str) -> str:
    """A value without quotes and with ``${...}`` resolved, as the other verbs read it."""
    if value[0] not in "'\"" and "${" not in value:
        return value
    from omegaconf import OmegaConf

    from bmx.config.override_grammar import unquoted

    return str(OmegaConf.create({"value": unquoted(value)}).value)


def _list(words: list[str], where: str) -> int:
    from bmx.runs.listing import LIMIT, show

    said: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if word == "--json":
            said[word] = ""
        elif key not in _KEYS or not equals:
            options = [f"{name}=" for name in _KEYS]
            raise UsageError(f"bmx runs list takes no '{word}'", where, suggestion(word, [*options, "--json"]))
        elif not value:
            raise UsageError(f"{key} has no value", where, f"write {key}=VALUE")
        else:
            said[key] = _plain(value)
    limit = said.get("limit", str(LIMIT))
    if not limit.isdecimal():
        raise UsageError(f"limit must be a whole number, not '{limit}'", where, "write limit=20, or limit=0 for all")
    composed = [name for name, verb in VERBS.items() if verb.config]
    if said.get("verb", composed[0]) not in composed:
        raise UsageError(
            f"no verb '{said['verb']}' that makes runs", where, suggestion(said["verb"], composed, "verb={}")
        )
    outputs = Path(said.get("outputs", "outputs")).expanduser()
    if "outputs" in said and not outputs.is_dir():
        raise UsageError(f"no folder '{outputs}'", where, "name the folder that holds the run directories")
    show(outputs, int(limit), "--json" in said, said.get("verb"))
    return 0
