"""Recognises other tools' argument syntax, ``--lr=0.1``, ``lr 0.1``, ``learning_rate=0.1``, and suggests bmx's."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bmx.config.key_synonyms import ELSEWHERE
from bmx.config.verbs import VERBS
from bmx.errors import UsageError

if TYPE_CHECKING:
    from bmx.config.schema import Schema

# Keys by their synonyms in lower case, without punctuation.
_KEYS = {re.sub(r"[^a-z0-9]", "", name.lower()): key for name, key in ELSEWHERE.items()}
# Switches that stand for a key and its value.
_WORDS = {
    "fp16": "precision=16-mixed",
    "amp": "precision=16-mixed",
    "half": "precision=16-mixed",
    "bf16": "precision=bf16-mixed",
    "cpu": "device=cpu",
    "nocuda": "device=cpu",
    "cuda": "device=cuda",
    "gpu": "device=cuda",
    "gpus": "device=cuda",
    "numgpus": "device=cuda",
    "mps": "device=mps",
    "dryrun": "plan=true",
    "deterministic": "trainer.deterministic=true",
}


def refuse_habits(verb: str, arguments: Sequence[str]) -> None:
    """Rejects arguments in another tool's syntax, with the whole command rewritten in bmx's.

    Arguments that match no key of this verb are left to the parsers of flags and overrides.

    Raises:
        UsageError: an argument is in another tool's syntax.
    """
    written, odd = _rewritten(verb, list(arguments))
    if odd:
        command = shlex.join(["bmx", verb, *written])
        raise UsageError(f"bmx is told key=value, not '{odd}'", f"bmx {verb} {odd}", f"write {command}")


def meant_by(key: str, verb: str) -> str:
    """The key or group of a verb for a name of other tools; empty for none."""
    known = _known(verb)
    if key in known:
        return key
    plain = key.replace("-", "_").lower()
    if plain in known:
        return plain
    meant = _KEYS.get(_bare(key), "")
    if meant == "run" and "run" not in known:
        meant = "resume"
    return meant if meant in known else ""


def takes_group(verb: str, group: str) -> bool:
    """Whether a verb's configuration has this config group."""
    return group in _schema(verb).groups


def has_key(verb: str, key: str) -> bool:
    """Whether a verb's configuration has this top-level key."""
    return "." not in key and key in _schema(verb).root


def takes_word(verb: str, word: str) -> bool:
    """Whether a verb has the key or group of an override."""
    key = word.partition("=")[0].lstrip("+~")
    known = _known(verb)
    return key in known or key.partition(".")[0].partition("@")[0] in known or key.startswith("hydra")


def with_value(key: str, value: str) -> str:
    """The override for a key and a value in other tools' spelling: ``Adam`` becomes ``adam``."""
    groups = ("optim", "data", "model", "scheduler", "augmentation", "logger")
    if key in groups and value[:1].isupper():
        value = value.lower()
    return f"{key}={value}"


def _rewritten(verb: str, rest: list[str]) -> tuple[list[str], str]:
    """The arguments with foreign syntax rewritten as overrides, and the first rewritten one as it was typed."""
    written: list[str] = []
    first = ""
    while rest:
        argument = rest.pop(0)
        taken, word = _one(verb, argument, rest)
        if word:
            first = first or " ".join([argument, *rest[:taken]])
            del rest[:taken]
        elif _is_flag(argument, verb) and _takes(argument) and rest:
            written += [argument, rest.pop(0)]
            continue
        written.append(word or argument)
    return written, first


def _one(verb: str, argument: str, rest: Sequence[str]) -> tuple[int, str]:
    """How many of the following arguments belong to this one, and their override; empty if it is bmx's syntax."""
    following = rest[0] if rest else ""
    if argument == "--run" and _is_value(following) and "run" in _known(verb):  # Hydra's flag takes nothing
        return 1, f"run={following}"
    if argument.startswith("-"):
        return (0, "") if _is_flag(argument, verb) else _of_flag(verb, argument, following)
    if argument[:1] in "+~" or not re.match(r"[A-Za-z]", argument):
        return 0, ""
    if argument.endswith("=") and argument.count("=") == 1 and _is_value(following):
        return 1, _word(verb, argument[:-1], following)
    if "==" in argument:
        key, _, value = argument.partition("==")
        return 0, _word(verb, key, value)
    spaced = re.fullmatch(r"([\w.]+)(\s*)=(\s*)(\S+)", argument)
    if spaced and (spaced[2] or spaced[3]):  # in quotes
        return 0, _word(verb, spaced[1], spaced[4])
    if "=" in argument:
        return 0, ""
    if following == "=" and len(rest) > 1:
        return 2, _word(verb, argument, rest[1])
    if following.startswith("=") and len(following) > 1:
        return 1, _word(verb, argument, following.lstrip("="))
    key, colon, value = argument.partition(":")
    if colon and value:
        return 0, _word(verb, key, value)
    if _is_value(following) and meant_by(key, verb):
        return 1, _word(verb, key, following)
    return 0, ""


def _of_flag(verb: str, argument: str, following: str) -> tuple[int, str]:
    name, separator, value = argument.lstrip("-").partition("=")
    if not separator:
        name, separator, value = name.partition(":")
    if separator:
        return 0, _word(verb, name, value)
    said = _WORDS.get(_bare(name))
    if said and said.partition("=")[0] in _known(verb):
        return (1 if following.isdigit() else 0), said
    off = re.match(r"no[-_]", name)
    if off and meant_by(name[off.end() :], verb):
        return 0, f"{meant_by(name[off.end() :], verb)}=false"
    if _is_value(following):
        return 1, _word(verb, name, following)
    key = meant_by(name, verb)
    return 0, f"{key}=true" if key and _is_switch(verb, key) else ""


def _word(verb: str, name: str, value: str) -> str:
    key = meant_by(name, verb)
    if not key and _bare(name) in _WORDS:
        said = _WORDS[_bare(name)]
        return said if said.partition("=")[0] in _known(verb) else ""
    return with_value(key, value) if key and value else ""


def _is_value(text: str) -> bool:
    return bool(text) and "=" not in text and (not text.startswith("-") or text[1:2].isdigit())


def _is_flag(argument: str, verb: str) -> bool:
    from bmx.config.flags import BY_NAME

    return argument.partition("=")[0] in BY_NAME or argument in VERBS[verb].switches


def _takes(argument: str) -> bool:
    from bmx.config.flags import BY_NAME

    flag = BY_NAME.get(argument)
    return flag is not None and bool(flag.takes) and not flag.optional


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _is_switch(verb: str, key: str) -> bool:
    declared = _schema(verb).declared(key)
    return declared is not None and set(declared.choices) == {"true", "false"}


def _schema(verb: str) -> Schema:
    from bmx.config import search_path
    from bmx.config.schema import schema

    return schema(VERBS[verb].config, None, (*search_path.user_dirs(), search_path.conf_dir()))


def _known(verb: str) -> frozenset[str]:
    """The keys and groups of a verb, and its aliases."""
    found = _schema(verb)
    return frozenset((*found.root, *found.groups, *found.by_package, *VERBS[verb].aliases, *VERBS[verb].named_runs))
