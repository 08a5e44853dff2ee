"""Resolves references to runs (``latest``, ids) to directories, before a run or sweep creates new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from bmx.config import override_grammar
from bmx.config.quoting import quoted
from bmx.config.verbs import Verb
from bmx.runs.best_job import tell
from bmx.runs.pinning import LATEST, means_run, names_sweep, pinned


def write_runs(
    words: list[str], verb: Verb, many: bool = False, outputs: Callable[[], Path] | None = None
) -> list[str]:
    """Replaces each run of ``verb.named_runs`` by its directory, and an option by the choice of its group.

    A sweep stands for its best job. Where many jobs are run, ``init_from=latest`` never means a sweep: the same
    overrides, given again to resume the sweep that they made, would mean that one.

    Args:
        words: overrides of the command line.
        verb: declares which keys name runs.
        many: whether they make many runs.
        outputs: returns the outputs folder; None to take it from the overrides.
    """
    find_folder = outputs or (lambda: Path(override_grammar.last_value(words, "outputs") or "outputs").expanduser())
    return [_written(word, verb, find_folder, many) for word in words]


def pin_runs(config: DictConfig, verb: Verb) -> None:
    """Sets the directories of runs in a composed configuration, whatever file or ``${...}`` names them.

    ``latest`` in a file is then the same run when this one is resumed, and in every job of a sweep.
    """
    try:
        outputs = Path(str(config.get("outputs") or "outputs"))
        named = {key: config.get(key) for key in verb.named_runs}
    except OmegaConfBaseException:  # a missing value is reported by the check of all values
        return
    if str(outputs).startswith("~"):
        outputs = outputs.expanduser()
        config.outputs = str(outputs)
    for key, value in named.items():
        if OmegaConf.is_list(value):
            runs = [pinned(str(one), outputs, key, told=tell) if _names(one) else one for one in value]
            if runs != list(value):
                _set(config, key, runs)
        elif _names(value):
            run = pinned(str(value), outputs, key, told=tell)
            if run != value or OmegaConf.is_interpolation(config, key):
                _set(config, key, run)


def _names(value: object) -> bool:
    """Whether a value may name a run as it is; number-like names are written out by the check of all values."""
    return isinstance(value, str | int) and not isinstance(value, bool)


def plain_values(config: DictConfig, keys: Iterable[str]) -> dict[str, object]:
    """The values of some keys in plain containers, without those that are missing."""
    there = (key for key in keys if config.get(key) is not None)
    return {
        key: OmegaConf.to_container(config[key]) if OmegaConf.is_config(config[key]) else config[key] for key in there
    }


def words_for_runs(kept: Mapping[str, object], verb: Verb) -> dict[str, str]:
    """The override for each key of a stored configuration that names one or more runs, by key."""
    found = {}
    for key in verb.named_runs:
        named = kept.get(key)
        if isinstance(named, str) and named != LATEST:
            found[key] = f"{key}={quoted(named)}"
        elif isinstance(named, list) and named and all(isinstance(one, str) for one in named):
            found[key] = f"{key}=[{','.join(map(quoted, named))}]"
    return found


def _set(config: DictConfig, key: str, value: object) -> None:
    with open_dict(config):
        config[key] = value


def _written(word: str, verb: Verb, outputs: Callable[[], Path], many: bool) -> str:
    sign, key, text = override_grammar.taken_apart(word)
    if key not in verb.named_runs or not text or override_grammar.taken_apart(word).is_null or sign == "~":
        return word
    group, head = verb.named_runs[key], word.partition("=")[0]
    sweeps = not (many and key == "init_from")

    def pin(one: str) -> str:
        return pinned(one, outputs(), key, sweeps, tell) if means_run(one) else one

    def pin_at_once(one: str) -> str:  # an id is looked up again where it is used, with the same result
        return pin(one) if one == LATEST or (means_run(one) and names_sweep(one, outputs())) else one

    if group:
        run = override_grammar.unquoted(text)
        return f"{head}={quoted(pin(run))}" if means_run(run) else f"{sign}{group}={text}"
    read = override_grammar.parsed(word)
    if key not in verb.lists:
        if read is None:  # a path that Hydra's grammar accepts in quotes only
            return word if pin(text) == text else f"{head}={quoted(pin(text))}"
        return override_grammar.with_values(word, pin_at_once)
    if read is not None and (
        override_grammar.is_list(read) or not override_grammar.is_plain(read) or override_grammar.is_interpolated(text)
    ):
        # A list already, as in the recorded overrides of a resumed run, or a sweep over teachers.
        return override_grammar.with_values(word, pin)
    items = override_grammar.items(text) if read is not None else [item.strip() for item in text.strip("[]").split(",")]
    named = [pin(override_grammar.unquoted(item)) for item in items if item]
    return f"{head}=[{','.join(map(quoted, named))}]"
