"""Validates a composed configuration against its schema, and converts each value to its declared type."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import yaml
from omegaconf import Container, DictConfig, OmegaConf, open_dict, read_write

from bmx.config.declaration import Declaration
from bmx.config.schema import OWN_KEYS, Schema, declaration_of, is_empty, target_of
from bmx.config.suggestions import either, nearest_keys, nearest_values
from bmx.config.value_kinds import NOTHING
from bmx.config.value_synonyms import meant_values
from bmx.config.yaml_comments import Entry
from bmx.errors import UsageError

RETIRED = {"data": ("dir",)}
"""Keys that options once had without a use. They are dropped where null, as in the configurations of old runs."""

OPTIONAL = ("augmentation", "logger")
"""Groups that a run can do without, though an option is chosen by default."""

# A reference to one key: an interpolation, from the root or (with dots before it) from where it is.
_REFERENCE = re.compile(r"\$\{(\.*)([A-Za-z_][\w@.]*)")


class Told(NamedTuple):
    """The sources of values, for messages and for names that look like numbers."""

    where: Callable[[str], str] = lambda key: f"the key '{key}'"
    """The argument, or file and line, that sets a key."""
    raw: Callable[[str], str | None] = lambda key: None
    """The source text of a value."""


def conform(config: DictConfig, schema: Schema, told: Told | None = None) -> None:
    """Validates a configuration in place: converts values to their declared types, fills in missing keys.

    Interpolations stay where their target is of the right type. Values that are still missing (``???``) stay too.

    Raises:
        UsageError: an unknown key, a required group that is null, or a value of the wrong type.
    """
    told = told or Told()
    _fill(config, schema)
    conform_node(config, "", schema, told)


def conform_node(config: DictConfig, node: str, schema: Schema, told: Told) -> None:
    """Validates one node of a configuration, such as ``hydra.sweeper``; fills nothing in."""
    leaves = [(key, declaration_of(entry)) for key, entry in _walk(config, node, schema, told)]
    # A reference is reported under the key it refers to.
    for key, declaration in sorted(leaves, key=lambda leaf: _stands_for_another(config, leaf[0])):
        _settle(config, key, declaration, told)


def complaint(key: str, value: Any, declaration: Declaration, raw: str | None = None) -> tuple[str, str] | None:
    """The error of a value and its remedy; None if it is valid."""
    if declaration.convert(value, raw) is not NOTHING:
        return None
    if isinstance(value, str):
        meant = nearest_values(value, declaration.choices)
    else:  # precision=16
        meant = meant_values(raw or str(value), declaration.choices)
    fix = either(meant, f"{key}={{}}") or f"write {key}={declaration.example}"
    return f"{key} must be {declaration.says}, not {shown(value)}", fix


def unknown_key(
    key: str, config: DictConfig, schema: Schema, known: list[str], value: str = "VALUE"
) -> tuple[str, str]:
    """The error of an unknown key and its remedy.

    Args:
        key: dotted.
        config: the composed configuration.
        schema: its declarations.
        known: the existing keys.
        value: the value it was given, as typed.
    """
    node = key.rpartition(".")[0]
    what = f"no {'key' if node else 'group or key'} '{key}'"
    if key[len(node) + 1 :] in OWN_KEYS.get(node, ()) and target_of(config, node) is not None:
        return what, f"write +{key}={value}, or add it to the file of {node}="
    like = either(nearest_keys(key, known))
    words = [] if like or node != node.partition(".")[0] else schema.words_with(key)
    if words:
        listed = f"{', '.join(words[:-1])} and {words[-1]} have it" if len(words) > 1 else f"{words[0]} has it"
        return what, f"{node}={listed}: write {node}={_most_like(_tail(config, node), words)} {key}={value}"
    siblings = [part for part in schema.fields(node, config) if not part.startswith("_")] if node else []
    listed = f"{node} has: {', '.join(siblings)}" if siblings else ""
    return what, like or listed or "--help lists every key"


def known_keys(config: DictConfig, schema: Schema) -> list[str]:
    """The dotted keys that a configuration has or may have."""
    return list(dict.fromkeys([*schema.root, *(key for key, _ in _flat(config, "")), *schema.groups]))


def _fill(config: DictConfig, schema: Schema) -> None:
    """Fills in the keys that a file or a program has left out, with their defaults."""
    for key, entry in schema.root.items():
        node = key.rpartition(".")[0]
        if not entry.declares or entry.value == "???" or (node and node in schema.groups):
            continue
        parent = config
        for part in node.split(".") if node else ():
            if part not in parent:
                _set(parent, part, {})
            parent = parent._get_node(part)  # type: ignore[assignment]
            if not isinstance(parent, DictConfig) or is_empty(parent):
                break
        else:
            last = key.rpartition(".")[2]
            if last not in parent:
                _set(parent, last, declaration_of(entry).convert(entry.value))
    for node, own in OWN_KEYS.items():
        inside = config.get(node)
        for key, value in own.items():
            if isinstance(inside, DictConfig) and target_of(config, node) and key not in inside and value is not None:
                _set(inside, key, value)


def _walk(config: DictConfig, node: str, schema: Schema, told: Told) -> Iterator[tuple[str, Entry]]:
    """The declared leaves of a node, after a check that everything in it exists and is in its place."""
    inside: Any = OmegaConf.select(config, node) if node else config
    fields = schema.fields(node, config)
    builds = target_of(config, node) is not None
    if not node:
        _refuse_null_groups(config, schema, told)
    for key in list(inside.keys()):
        dotted = f"{node}.{key}" if node else str(key)
        if dotted == "hydra" or str(key).startswith("_"):
            continue
        value = inside._get_node(key)
        entry = fields.get(str(key))
        if entry is None and not node:
            entry = schema.entry(dotted, config)
        if entry is None and not (not node and key in schema.groups):
            if _goes(config, dotted, value):
                _delete(inside, key)
            elif _is_open(dotted, node, fields, builds):
                if isinstance(value, DictConfig) and not is_empty(value):
                    yield from _walk(config, dotted, schema, told)
            elif not _is_used(config, dotted):
                raise _unknown(dotted, config, schema, told)
            continue
        if entry is not None and entry.declares:
            yield dotted, entry
        elif isinstance(value, DictConfig) and not is_empty(value):
            yield from _walk(config, dotted, schema, told)
        elif _must_be_node(dotted, entry, schema, value):
            raise _not_a_node(dotted, value, entry, schema, told)


def _is_open(key: str, node: str, fields: dict[str, Entry], builds: bool) -> bool:
    """Whether a node may have undeclared keys: those of a signature, or any where nothing is known."""
    last = key.rpartition(".")[2]
    if last in RETIRED.get(node, ()):
        return not fields.keys() - set(OWN_KEYS.get(node, ()))
    if node.startswith("hydra."):  # a sweeper or launcher of bmx's own has no other keys
        return not fields
    return builds or (bool(node) and not fields)


def _goes(config: DictConfig, key: str, value: Any) -> bool:
    node, _, last = key.rpartition(".")
    return last in RETIRED.get(node, ()) and value._is_none()


def _must_be_node(key: str, entry: Entry | None, schema: Schema, value: Any) -> bool:
    if value._is_interpolation() or value._is_missing():
        return False
    if key in schema.groups:
        return not value._is_none()
    return entry is not None and entry.is_map


def _refuse_null_groups(config: DictConfig, schema: Schema, told: Told) -> None:
    for group, word in schema.groups.items():
        value = config._get_node(group) if group in config else None
        if word is None or group in OPTIONAL or (value is not None and not value._is_none()):
            continue
        what = f"{group} cannot be null" if value is not None else f"{group} cannot be left out"
        words = [path.stem for path in schema.files.get(group, ())]
        fix = f"choose a word: {group}={word}" + (f", or one of: {', '.join(words)}" if len(words) > 1 else "")
        raise UsageError(what, told.where(group), fix)


def _not_a_node(key: str, value: Any, entry: Entry | None, schema: Schema, told: Told) -> UsageError:
    written = shown(value._value())
    if key in schema.groups:
        word = schema.groups[key] or next((path.stem for path in schema.files.get(key, ())), "WORD")
        return UsageError(f"{key} must hold keys, not {written}", told.where(key), f"choose a word: {key}={word}")
    assert entry is not None
    inner = next(k for k in [*schema.root, *schema.by_package] if k.startswith(f"{key}."))
    declared = schema.declared(inner)
    example = f": {inner}={declared.example}" if declared else ""
    return UsageError(f"{key} must hold keys, not {written}", told.where(key), f"set what is in it{example}")


def _unknown(key: str, config: DictConfig, schema: Schema, told: Told) -> UsageError:
    known = [name for name in known_keys(config, schema) if name != key and not name.startswith(f"{key}.")]
    what, fix = unknown_key(key, config, schema, known, told.raw(key) or "VALUE")
    return UsageError(what, told.where(key), fix)


def _is_used(config: DictConfig, key: str) -> bool:
    """Whether another value refers to this key: ``${width}``."""
    for name, value in _flat(config, ""):
        text = value._value() if value is not None and value._is_interpolation() else None
        for dots, written in _REFERENCE.findall(str(text)) if text is not None else ():
            at = name.split(".")[: -len(dots)] if dots else []
            meant = ".".join([*at, written])
            if meant == key or meant.startswith(f"{key}.") or key.startswith(f"{meant}."):
                return True
    return False


def _settle(config: DictConfig, key: str, declaration: Declaration, told: Told) -> None:
    parent = _parent(config, key)
    last = key.rpartition(".")[2]
    node: Any = parent._get_node(last)
    if node is None or node._is_missing():
        return
    value = parent[last]
    if isinstance(value, Container):
        value = OmegaConf.to_container(value, resolve=True)
    if declaration.accepts(value):
        return
    raw = None if isinstance(value, (str, dict)) or value is None else told.raw(key)
    made = declaration.convert(value, raw)
    if made is NOTHING:
        wrong = complaint(key, value, declaration, raw)
        assert wrong is not None
        raise UsageError(wrong[0], told.where(key), wrong[1])
    if type(made) is not type(value) or made != value or (isinstance(made, list) and repr(made) != repr(value)):
        _set(parent, last, made)


def _stands_for_another(config: DictConfig, key: str) -> bool:
    node: Any = _parent(config, key)._get_node(key.rpartition(".")[2])
    return node is not None and bool(node._is_interpolation())


def _parent(config: DictConfig, key: str) -> DictConfig:
    found = config
    for part in key.split(".")[:-1]:
        found = found._get_node(part)  # type: ignore[assignment]
    return found


def _set(node: DictConfig, key: str, value: Any) -> None:
    with read_write(node), open_dict(node):
        node[key] = value


def _delete(node: DictConfig, key: Any) -> None:
    with read_write(node), open_dict(node):
        del node[key]


def _flat(config: DictConfig, prefix: str) -> Iterator[tuple[str, Any]]:
    """Dotted keys with their nodes, those of lists too, without the ``hydra`` node."""
    for key in config:
        if not prefix and key == "hydra":
            continue
        name, value = f"{prefix}{key!s}", cast(Any, config._get_node(key))
        yield name, value
        if isinstance(value, DictConfig) and not is_empty(value):
            yield from _flat(value, f"{name}.")
        elif OmegaConf.is_list(value) and not is_empty(value):
            for index in range(len(value)):
                yield f"{name}.{index}", value._get_node(index)


def _tail(config: DictConfig, group: str) -> str:
    return (target_of(config, group) or "").rpartition(".")[2].lower()


def _most_like(word: str, words: list[str]) -> str:
    from difflib import SequenceMatcher

    return max(words, key=lambda one: SequenceMatcher(None, word, one).ratio())


def shown(value: Any) -> str:
    """A value as it would be typed."""
    if value is None:
        return "null"
    if isinstance(value, (bool, float)):
        return str(value).lower()
    if isinstance(value, (list, dict)):
        return yaml.safe_dump(value, default_flow_style=True, width=10**6).strip()
    return repr(value)
