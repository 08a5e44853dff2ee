"""Suggests valid options and keys for mistyped ones."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

from bmx.config.key_synonyms import ELSEWHERE
from bmx.config.value_synonyms import meant_values
from bmx.errors import nearest


def near(word: str, options: Iterable[str], most: int = 3) -> list[str]:
    """The options similar to ``word``, best first, without those much less similar than the best."""
    found = nearest(word, options, most)
    alike = {option: SequenceMatcher(None, word, option).ratio() for option in found}
    best = max(alike.values(), default=0.0)
    return [option for option in found if alike[option] >= best - 0.15]


def nearest_values(word: str, options: Iterable[str]) -> list[str]:
    """The options that ``word`` is a synonym of; else the similar ones."""
    known = list(options)
    return meant_values(word, known) or near(word, known)


def either(options: Iterable[str], form: str = "{}") -> str:
    """``did you mean a or b?``; empty for no options."""
    named = " or ".join(form.format(option) for option in options)
    return f"did you mean {named}?" if named else ""


def suggestion(word: str, options: Iterable[str], form: str = "{}") -> str:
    """Advice on a mistyped ``word``: the nearest options, or all of them where none is near."""
    known = list(options)
    return either(nearest_values(word, known), form) or f"choose one of: {', '.join(known) or 'nothing, there is none'}"


def nearest_keys(key: str, known: list[str]) -> list[str]:
    """Known keys similar to this one: in an existing node, those of that node; else any, by whole name or last part.

    A synonym in other programs, exact or the only similar one, counts as that key.
    """
    last = key.rpartition(".")[2]
    meant = ELSEWHERE.get(last)
    if meant in known and meant != key:
        return [str(meant)]
    alike = _alike(key, known)
    nearly = [] if alike else get_close_matches(last, ELSEWHERE, 1, cutoff=0.85)
    return alike or [ELSEWHERE[name] for name in nearly if ELSEWHERE[name] in known and ELSEWHERE[name] != key]


def _alike(key: str, known: list[str]) -> list[str]:
    parent, _, last = key.rpartition(".")
    if parent in known:
        return [f"{parent}.{part}" for part in near(last, parts(parent, known))]
    by_last: dict[str, list[str]] = {}
    for name in known:
        by_last.setdefault(name.rpartition(".")[2], []).append(name)
    alike = [full for part in near(last, by_last) for full in by_last[part]]
    return list(dict.fromkeys([*near(key, known), *alike]))[:3]


def parts(node: str, known: list[str]) -> list[str]:
    """The keys of one node, by their last part, without those that Hydra reads."""
    inside = [name.removeprefix(f"{node}.") for name in known if name.startswith(f"{node}.")]
    return [part for part in inside if "." not in part and not part.startswith("_")]
