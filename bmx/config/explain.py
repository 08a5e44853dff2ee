"""Turns what Hydra, OmegaConf and the YAML reader raise into three lines: what, where, what to do."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

from bmx.config.request import Asked, asked_line
from bmx.config.suggestions import either, suggestion
from bmx.errors import BmxError, UsageError

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader


def explain(error: BaseException, asked: Asked, loader: ConfigLoader | None) -> BmxError:
    """The error as a user meets it.

    The words are looked at first, one by one, since Hydra names neither the argument nor what would have fitted.
    """
    if isinstance(error, BmxError):
        return error
    from bmx.config.override_errors import find_wrong_word

    wrong = find_wrong_word(asked, loader) if loader is not None else None
    return wrong or _by_type(error, asked, loader)


def _by_type(error: BaseException, asked: Asked, loader: ConfigLoader | None) -> UsageError:
    import yaml
    from hydra.errors import MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    for link in _chain(error):
        if isinstance(link, yaml.MarkedYAMLError):
            return _bad_yaml(link)
        if isinstance(link, yaml.YAMLError):
            return UsageError("a YAML file cannot be read", _first_line(link), "mend the file")
        if isinstance(link, MissingConfigException):
            return _no_such_file(link, asked, loader)
        if isinstance(link, OmegaConfBaseException):
            return _bad_value(link, asked, loader)
    again = re.search(
        r"Multiple values for ([\w/@]+)\. To override a value use 'override [\w/@]+: ([^']+)'", str(error)
    )
    if again:
        word = next((w for w in asked.words if w.lstrip("+") == f"{again[1]}={again[2]}"), "")
        where = f"the argument '{word}'" if word else _source_named_in(error, loader) or asked_line(asked)
        fix = f"write {again[1]}={again[2]}" if word else f"write `override /{again[1]}: {again[2]}` in the file"
        return UsageError(f"{again[1]} is chosen twice", where, fix)
    where = _source_named_in(error, loader) or asked_line(asked)
    of_another = _group_of_another_verb(error, asked, loader)
    if of_another is not None:
        return UsageError(of_another[0], where, of_another[1])
    return UsageError(_first_line(error), where, "--debug shows where this comes from")


def _group_of_another_verb(error: BaseException, asked: Asked, loader: ConfigLoader | None) -> tuple[str, str] | None:
    """What to say where a chosen file chooses from a group that this verb does not have, but others do."""
    from hydra.types import RunMode

    from bmx.config.verbs import VERBS

    group = re.search(r"Could not override '([^']+)'\. No match in the defaults list", str(error))
    if group is None or loader is None:
        return None
    verbs = []
    for name, verb in VERBS.items():
        if verb.config and name != asked.verb:
            with suppress(Exception):  # a verb that these words do not fit either
                composed = loader.compute_defaults_list(verb.config, list(asked.words), RunMode.RUN)
                verbs += [name] if group[1] in composed.overrides.known_choices else []
    if not verbs:
        return None
    fix = _with_verb(verbs[0], asked)
    return f"this chooses from '{group[1]}', a group that bmx {asked.verb} does not have", fix


def _with_verb(verb: str, asked: Asked) -> str:
    """The command with another verb, and those of its words that this one has."""
    from bmx.config.foreign_syntax import takes_word
    from bmx.config.verbs import VERBS

    words = [word for word in asked.words if takes_word(verb, word)]
    many = ["-m"] if asked.multirun and "--multirun" not in VERBS[verb].flags else []
    return f"write {shlex.join(['bmx', verb, *many, *words])}"


def _key_of_another_verb(key: str, asked: Asked) -> tuple[str, str] | None:
    """What to say of a word whose file stands for a key that this verb does not have, but others do."""
    from bmx.config.schema import schema
    from bmx.config.verbs import VERBS

    verbs = [name for name, verb in VERBS.items() if verb.config and key in schema(verb.config).root]
    if not verbs or asked.verb in verbs:
        return None
    fix = _with_verb(verbs[0], asked)
    if "run" in VERBS[verbs[0]].named_runs and "run" not in VERBS[asked.verb].named_runs:
        fix = f"train without it first, then {fix} run=latest"
    return f"needs '{key}', which bmx {asked.verb} does not have", fix


def _bad_yaml(error: object) -> UsageError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or "not valid YAML"
    where = f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}" if mark else "a YAML file"
    return UsageError(f"a file of configuration is not valid YAML: {problem}", where, "mend that line")


def _no_such_file(error: object, asked: Asked, loader: ConfigLoader | None) -> UsageError:
    name = str(getattr(error, "missing_cfg_file", None) or "")
    options = [str(option) for option in getattr(error, "options", None) or []]
    from bmx.config.yaml_source import file_choosing

    group, _, word = name.rpartition("/")
    where = (loader and file_choosing(loader, group, word)) or _source_named_in(error, loader) or asked_line(asked)
    if not group:
        return UsageError(f"no root configuration '{name}'", where, "check --config-name and the folders searched")
    return UsageError(f"no word '{word}' in the group '{group}'", where, suggestion(word, options))


def _bad_value(error: object, asked: Asked, loader: ConfigLoader | None) -> UsageError:
    from bmx.config.keys import nearest_keys
    from bmx.config.override_errors import known_keys

    message = _first_line(error)
    key = str(getattr(error, "full_key", None) or "")
    refers = re.search(r"Interpolation key '([^']+)' not found", message)
    if refers:
        of_another = _key_of_another_verb(refers[1], asked)
        if of_another is not None:
            return UsageError(f"{key} {of_another[0]}", asked.where(key, loader), of_another[1])
        meant = nearest_keys(refers[1], known_keys(asked, loader)) if loader else []
        fix = either(meant, "${{{}}}") or "add that key, or write a plain value"
        return UsageError(f"{key} refers to '{refers[1]}', which does not exist", asked.where(key, loader), fix)
    wrong = _value_of_a_word(key, asked, loader)
    if wrong is not None:
        return wrong
    where = asked.where(key, loader) if key else _source_named_in(error, loader) or asked_line(asked)
    return UsageError(f"{key}: {message}" if key else message, where, "give it a value that fits")


def _value_of_a_word(key: str, asked: Asked, loader: ConfigLoader | None) -> UsageError | None:
    """What is wrong with a value that cannot even be put in its place, as a map where a list stands; None if unknown.

    Args:
        key: the one that OmegaConf names, perhaps inside of the value.
        asked: whose words are looked at.
        loader: finds the declarations.
    """
    from bmx.config.declared import refused
    from bmx.config.override_grammar import key_of

    inside = (word for word in reversed(asked.words) if f"{key}.".startswith(f"{key_of(word)}."))
    word = next(inside, None) if key else None
    return refused(word, key, asked, loader) if word is not None else None


def _source_named_in(error: object, loader: ConfigLoader | None) -> str:
    """The file that Hydra names in its message: ``In 'model/cnn': ...``."""
    named = re.search(r"\b[Ii]n '([^']+)'", str(error))
    if not named or loader is None:
        return ""
    from bmx.config.yaml_source import find

    return str(find(loader, named[1]) or named[1])


def _chain(error: BaseException) -> list[BaseException]:
    """The error and its causes, innermost first: the innermost knows the file and the key."""
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in links:
        links.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return links[::-1]


def _first_line(error: object) -> str:
    lines = [re.sub(r"^In '[^']+': ", "", line.strip()) for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
