"""Tab completion: ``bmx completion SHELL`` prints the script, which calls the hidden ``bmx _complete``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmx.config.declared import about_of, choices_of
from bmx.config.overrides import rewrite_aliases
from bmx.config.suggestions import suggestion
from bmx.config.verbs import VERBS, Verb
from bmx.config.yaml_comments import load
from bmx.config.yaml_source import find
from bmx.errors import UsageError
from bmx.verbs.completion.shell_scripts import SCRIPTS

if TYPE_CHECKING:
    from bmx.config.raw import Composed

_RUN_KEYS = ("run", "resume", "init_from", "teacher", "student")
_FOLDER_KEYS = ("outputs", "data.dir", "hydra.run.dir", "hydra.sweep.dir")
_RUNS_WORDS = ("list", "limit=", "outputs=", "verb=", "--json")


def main(words: list[str]) -> int:
    """Print the script of one shell.

    Raises:
        UsageError: unless exactly one supported shell is named.
    """
    if len(words) != 1 or words[0] not in SCRIPTS:
        where = " ".join(["bmx completion", *words])
        if not words:
            raise UsageError("no shell is named", where, f"choose one of: {', '.join(SCRIPTS)}")
        raise UsageError(f"no completion for '{' '.join(words)}'", where, suggestion(words[0], SCRIPTS))
    print(SCRIPTS[words[0]], end="")
    return 0


def answer() -> int:
    """Print the completions at the cursor, one argument per line; never an error, which a prompt could not show.

    The line is in ``COMP_LINE``, the cursor's position in ``COMP_POINT``, as in bash.
    """
    try:
        line = os.environ.get("COMP_LINE", "")
        found = candidates(line[: int(os.environ.get("COMP_POINT") or len(line))])
    except Exception:
        return 0
    print("".join(f"{word}\n" for word in dict.fromkeys(found)), end="")
    return 0


def candidates(line: str) -> list[str]:
    """Completions of the last argument of a line such as ``bmx train mod``, each a whole argument."""
    word = "" if not line.split() or line[-1].isspace() else line.split()[-1]
    before = _words(line.removesuffix(word))[1:]
    if not before:
        return _beginning(word, [*VERBS, "--help", "--version"])
    verb = VERBS.get(before[0])
    if before[0] == "help":
        return _beginning(word, VERBS)
    if verb is None:
        return []
    if not verb.config:
        return _of_command(before[0], word)
    return _of_verb(before[0], verb, before[1:], word)


def _words(line: str) -> list[str]:
    """The arguments of a line as a shell splits them."""
    try:
        return shlex.split(line)
    except ValueError:  # a quote that is not closed yet
        return line.split()


def _of_command(name: str, word: str) -> list[str]:
    if name == "completion":
        return _beginning(word, SCRIPTS)
    if word.startswith("outputs="):
        return _paths("outputs=", word[len("outputs=") :])
    if word.startswith("verb="):
        return _beginning(word, (f"verb={verb}" for verb, entry in VERBS.items() if entry.config))
    return _beginning(word, _RUNS_WORDS)


def _of_verb(name: str, verb: Verb, before: list[str], word: str) -> list[str]:
    from bmx.config.flags import FLAGS

    previous = next((flag for flag in FLAGS if before and before[-1] in (flag.name, flag.short) and flag.takes), None)
    if previous is not None and previous.choices:
        return _beginning(word, previous.choices)
    if previous is not None and previous.takes == "DIR":
        return _paths("", word)
    if word.startswith("-"):
        key, equals, value = word.partition("=")
        chosen = next((flag for flag in FLAGS if equals and key == flag.name), None)
        if chosen is not None:
            return [f"{key}={choice}" for choice in _beginning(value, chosen.choices)]
        return _beginning(word, [*verb.switches, *(flag.name for flag in FLAGS)])
    if "=" in word:
        return _values(name, verb, before, word)
    return _names(name, verb, before, word)


def _names(name: str, verb: Verb, before: list[str], word: str) -> list[str]:
    """Completes config groups and keys; a node of keys is one step (``model.``) until it is typed out."""
    from bmx.config.keys import flatten
    from bmx.config.override_errors import groups

    sign = word[: len(word) - len(word.lstrip("+~"))]
    bare = word[len(sign) :]
    composed, chosen = _composed(name, verb, before)
    if sign == "+":  # groups without a choice so far
        own = {choice.partition("@")[0] for choice in chosen}
        return [f"+{group}=" for group in groups(composed.loader) if group not in own and group.startswith(bare)]
    named = [*verb.aliases, *(choice for choice in chosen if choice not in verb.aliases.values())]
    found = [f"{group}=" for group in named if bare.startswith("hy") or not group.startswith("hydra")]
    keys = list(flatten(composed.config))
    if bare.startswith("hy"):
        keys += [("hydra", composed.config.hydra), *flatten(composed.config.hydra, "hydra.")]
    found += _level(keys, bare)
    matching = _beginning(bare, found)
    while len(matching) == 1 and matching[0].endswith("."):  # the only completion is that node: descend into it
        matching = _beginning(matching[0], _level(keys, matching[0]))
    if sign == "~":  # takes no value
        matching = [option.rstrip("=") for option in matching]
    return sorted(sign + option for option in dict.fromkeys(matching))


def _level(keys: list[tuple[str, Any]], typed: str) -> list[str]:
    """The keys with as many parts as the typed one; those that begin with ``_`` only once one is typed."""
    from bmx.config.keys import is_node

    wanted = [(key, value) for key, value in keys if key.count(".") == typed.count(".")]
    private = typed.rpartition(".")[2].startswith("_")
    return [
        f"{key}." if is_node(value) and len(value) else f"{key}="
        for key, value in wanted
        if private or not key.rpartition(".")[2].startswith("_")
    ]


def _values(name: str, verb: Verb, before: list[str], word: str) -> list[str]:
    """Completes values after ``key=``; after a comma, another value of a sweep or a list."""
    key, _, value = word.partition("=")
    bare = key.lstrip("+~")
    opened = "[" if value.startswith("[") else ""
    done, comma, last = value.removeprefix("[").rpartition(",")
    prefix = f"{key}={opened}{done}{comma}"
    composed, _ = _composed(name, verb, before)
    long = verb.aliases.get(bare, bare)
    about = about_of(long, composed.config, composed.asked, composed.loader)
    if bare in _FOLDER_KEYS or set(about) & {"path", "folder"} or last.startswith((".", "/", "~")):
        return _paths(prefix, last)
    found = _of_runs(bare, before, composed) if bare in _RUN_KEYS or "run" in about else []
    found += _words_of(long.partition("@")[0], composed) or _of_key(long, composed)
    return [prefix + option for option in dict.fromkeys(_beginning(last, found))]


def _of_runs(key: str, before: list[str], composed: Composed) -> list[str]:
    from bmx.config.outputs_folder import outputs_folder

    verb = composed.asked.verb
    words = [word for word in before if "=" in word]
    outputs = outputs_folder(verb, words, {}, (*VERBS[verb].named_runs, "resume"))
    taught = composed.asked.verb == "distill" and key in ("teacher", "student")
    models = composed.loader.get_group_options("model") if taught else []
    return [*_run_ids(outputs), *models]


def _words_of(group: str, composed: Composed) -> list[str]:
    """The options of a config group; the stages of a pipeline are options too."""
    from bmx.config.experiments import words_of

    if group == "stages":
        pipeline = find(composed.loader, "compression/pipeline")
        return [str(word).partition("@")[0] for word in load(pipeline).defaults] if pipeline else []
    return words_of(group, composed.asked.config, composed.loader)


def _of_key(key: str, composed: Composed) -> list[str]:
    from omegaconf import OmegaConf

    from bmx.sweep.objective import NAMES

    if key == "hydra.sweeper.objective":
        return ["auto", *NAMES]
    words = choices_of(key, composed.config, composed.asked, composed.loader)
    if words:
        return words
    value = OmegaConf.select(composed.config, key, throw_on_missing=False)
    if isinstance(value, bool):
        return ["true", "false"]
    return [str(value)] if isinstance(value, (int, float, str)) and str(value) else []


def _composed(name: str, verb: Verb, before: list[str]) -> tuple[Composed, list[str]]:
    """The configuration composed from the overrides before the cursor, or the default one if these do not compose."""
    from bmx.config.flags import parse
    from bmx.config.raw import compose_raw

    try:
        command = parse(name, before)
        words, folder = rewrite_aliases(command.words, verb.aliases), command.flags.get("--config-dir")
        composed = compose_raw(name, words, folder, multirun=True)
    except UsageError:
        composed = compose_raw(name, [], multirun=True)
    chosen = [str(group) for group in composed.config.hydra.runtime.choices if group != "hydra"]
    return composed, chosen


def _run_ids(outputs: Path) -> list[str]:
    from bmx.runs.finding import MODEL_VERBS, newest_first

    return ["latest", *(run.name for run in newest_first(outputs, MODEL_VERBS))]


def _paths(prefix: str, typed: str) -> list[str]:
    folder, slash, start = typed.rpartition("/")
    place = Path(folder + slash).expanduser() if slash else Path()
    try:
        entries = sorted(place.iterdir())
    except OSError:
        return []
    names = [entry.name + ("/" if entry.is_dir() else "") for entry in entries]
    shown = [name for name in names if name.startswith(start) and (start or not name.startswith("."))]
    return [f"{prefix}{folder}{slash}{name}" for name in shown]


def _beginning(word: str, options: Iterable[str]) -> list[str]:
    return [option for option in options if option.startswith(word)]
