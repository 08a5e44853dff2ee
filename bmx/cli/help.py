"""Text of ``bmx VERB --help``: groups with their options, every key with its value and comment, flags, examples."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from omegaconf import DictConfig

from bmx.cli.help_sweep import sweep_rows
from bmx.config.experiments import words_of
from bmx.config.flags import FLAGS, Command, Flag
from bmx.config.keys import flatten, is_node
from bmx.config.raw import Composed, compose_raw
from bmx.config.schema import declaration_of
from bmx.config.verbs import VERBS, Verb
from bmx.config.yaml_source import Entry, describe, entries, find
from bmx.runs.report.foot import colours

_NARROWEST, _WIDEST = 60, 120
# Characters of the left column; longer entries have a line of their own.
_WIDEST_NAME = 44
# Joins the words of a short phrase that is not broken, and its maximum length.
_SPACE, _LONGEST = "\N{NO-BREAK SPACE}", 24


class _Section(NamedTuple):
    heading: str
    text: str


def page(command: Command) -> str:
    """The help of a verb under given overrides: ``model=cnn --help`` lists the keys of ``cnn``.

    Raises:
        UsageError: an override that does not exist.
    """
    verb = VERBS[command.verb]
    width = min(max(_columns(), _NARROWEST), _WIDEST)
    composed = compose_raw(
        command.verb,
        command.words,
        command.flags.get("--config-dir"),
        command.flags.get("--config-name"),
        command.flags.get("--config-path"),
        command.on("--multirun"),
    )
    about = "\n" + textwrap.fill(verb.help, width)
    sections = [
        _Section(f"usage: bmx {command.verb} [flags] [group=word ...] [key=value ...]", about),
        _Section("groups (* is chosen):", _groups(composed, verb.aliases, width)),
        *_keys(composed, width),
        _Section("many runs (-m):", option_table(list(sweep_rows(composed, verb.aliases, _with_kind)), width)),
        _Section("flags:", option_table([*_switches(verb), *(_flag(flag) for flag in FLAGS)], width)),
        _Section("examples:", "\n".join(f"  {example}" for example in verb.examples)),
    ]
    bold = "\033[1m{}\033[0m" if colours(sys.stdout) else "{}"
    return "\n\n".join(f"{bold.format(section.heading)}\n{section.text}".rstrip() for section in sections)


def _columns() -> int:
    """Width of the terminal that the page is read in, behind a pager too."""
    for stream in (sys.__stdout__, sys.__stderr__, sys.__stdin__):
        with suppress(AttributeError, ValueError, OSError):
            return shutil.get_terminal_size((os.get_terminal_size(stream.fileno()).columns, 24)).columns  # type: ignore[union-attr]
    return shutil.get_terminal_size((100, 24)).columns


def _groups(composed: Composed, aliases: Mapping[str, str], width: int) -> str:
    short = {long: alias for alias, long in aliases.items()}
    rows = []
    for name, chosen in sorted(_choices(composed).items()):
        marked = chosen if isinstance(chosen, list) else [chosen]
        words = words_of(name.partition("@")[0], composed.asked.config, composed.loader)
        shown = "  ".join(f"*{word}" if word in marked else word for word in words)
        rows.append((short.get(name, name), shown or "(no words yet)"))
    return option_table(rows, width)


def _choices(composed: Composed) -> dict[str, Any]:
    from omegaconf import OmegaConf

    chosen = OmegaConf.to_container(composed.config.hydra.runtime.choices)
    assert isinstance(chosen, dict)
    return {str(name): word for name, word in chosen.items() if str(name).partition("/")[0] != "hydra"}


def _keys(composed: Composed, width: int) -> list[_Section]:
    """A section for the top-level keys, then one for each node."""
    written = entries(composed.loader, composed.asked.config, list(composed.asked.words))
    top: list[tuple[str, str]] = []
    sections: list[_Section] = []
    for key, value in composed.config.items_ex(resolve=False):
        if key == "hydra":
            continue
        if not is_node(value) or not len(value):
            top.append(_row(str(key), value, written))
            continue
        leaves = [(name, leaf) for name, leaf in flatten(value, f"{key!s}.") if not is_node(leaf) or not leaf]
        named = (f"{key!s}._target_", f"{key!s}._partial_")  # the heading names the target
        rows = [_row(name, leaf, written) for name, leaf in leaves if name not in named]
        heading, about = _about(str(key), value, composed, width)
        sections.append(_Section(heading, "\n".join(part for part in (about, option_table(rows, width)) if part)))
    return [_Section("keys:", option_table(top, width)), *sections]


def _about(key: str, node: DictConfig, composed: Composed, width: int) -> tuple[str, str]:
    """The heading of a node, with its chosen option, and the option's description."""
    word = _choices(composed).get(key)
    path = find(composed.loader, f"{key}/{word}") if isinstance(word, str) else None
    lines = textwrap.wrap(describe(path), width - 2) if path else []
    if node.get("_target_"):
        lines.append(str(node._get_node("_target_")))
    return (f"{key}={word}:" if path else f"{key}:"), "\n".join(f"  {line}" for line in lines)


def _row(name: str, value: Any, written: Mapping[str, Entry]) -> tuple[str, str]:
    entry, shown = written.get(name), _shown(value)
    return f"{name} = {shown}", _with_kind(entry) if entry else ""


def _with_kind(entry: Entry) -> str:
    """The comment of a key, followed by its type, unless the comment names every literal of it."""
    if not entry.declares:
        return entry.comment
    declared = declaration_of(entry)
    comment = f"{entry.comment} {declared.told}".strip()
    unsaid = [word for word in declared.choices if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", comment)]
    if declared.is_closed and not unsaid:
        return comment
    return f"{comment} [{_together(declared.brief)}]".lstrip()


def _together(text: str) -> str:
    """The text with non-breaking spaces, if it is short enough for a line of its own."""
    return text.replace(" ", _SPACE) if len(text) <= _LONGEST else text


def _shown(value: Any) -> str:
    """A value in override syntax; ``${...}`` stays unresolved."""
    import yaml
    from omegaconf import Container, OmegaConf

    if isinstance(value, Container):
        if value._is_none() or value._is_missing() or value._is_interpolation():
            return str(value._value() or "null")
        plain = OmegaConf.to_container(value, resolve=False)
        return str(yaml.safe_dump(plain, default_flow_style=True, width=10**6)).strip()
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) or "''"


def _switches(verb: Verb) -> list[tuple[str, str]]:
    return [(f"    {name}", f"{about} ({word})") for name, (word, about) in verb.switches.items()]


def _flag(flag: Flag) -> tuple[str, str]:
    name = f"{flag.short}, {flag.name}" if flag.short else f"    {flag.name}"
    takes = f" [{flag.takes}]" if flag.optional else f" {flag.takes}" if flag.takes else ""
    return name + takes, flag.help + (f": {', '.join(flag.choices)}" if flag.choices else "")


def option_table(rows: list[tuple[str, str]], width: int) -> str:
    """Two columns; a left side that is too long for its column is on a line of its own."""
    column = min(max((len(name) for name, _ in rows), default=0), width * 9 // 20, _WIDEST_NAME) + 4
    lines: list[str] = []
    for name, text in rows:
        head = f"  {name}"
        if len(head) + 2 > column and text:
            lines.append(head)
            head = ""
        wrapped = textwrap.wrap(text, width - column, break_on_hyphens=False) or [""]
        lines.append(f"{head:<{column}}{wrapped[0]}".rstrip())
        lines += [" " * column + line for line in wrapped[1:]]
    return "\n".join(lines).replace(_SPACE, " ")
