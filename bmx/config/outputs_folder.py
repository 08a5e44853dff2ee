"""Finds the outputs folder of a command, whichever override or file sets ``outputs``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from bmx.config import override_grammar

KEY = "outputs"


def outputs_folder(verb: str, words: list[str], flags: Mapping[str, str], without: tuple[str, ...] = ()) -> Path:
    """The folder that ``outputs`` names: in an override, a file, an experiment, or an environment variable.

    Args:
        verb: of the command.
        words: overrides as Hydra reads them, except for the runs that they name.
        flags: of the command line.
        without: keys to leave out when the overrides are composed.
    """
    typed = override_grammar.last_value(words, KEY)
    if typed is not None and not override_grammar.is_interpolated(typed):
        return Path(typed).expanduser()
    named = value_of(KEY, verb, words, flags, without)
    return Path(str(named or KEY)).expanduser()


def value_of(
    key: str, verb: str, words: list[str], flags: Mapping[str, str], without: tuple[str, ...] = ()
) -> object | None:
    """The value of a key in the composed configuration; None where composing fails, which is reported later."""
    kept = [word for word in words if override_grammar.key_of(word) not in without]
    few = [word for word in kept if "." not in override_grammar.key_of(word)]
    own = [word for word in few if override_grammar.key_of(word) in (key, "experiment")]
    # Invalid overrides, such as keys of another model, do not hide where the runs are.
    for tried in (kept, few, own):
        found = _composed(verb, tuple(tried), tuple(sorted(flags.items())))
        if found is None:
            continue
        try:
            value: object = OmegaConf.select(found, key)
        except Exception:  # an unset environment variable, say
            return None
        return value
    return None


def _composed(verb: str, words: tuple[str, ...], flags: tuple[tuple[str, str], ...]) -> DictConfig | None:
    from bmx.config.overrides import open_groups, rewrite_aliases, without_group, write_beginning, write_lists
    from bmx.config.raw import compose_raw
    from bmx.config.verbs import VERBS

    entry, given = VERBS[verb], dict(flags)
    folders = (given.get("--config-dir"), given.get("--config-name"), given.get("--config-path"))
    written = [write_beginning(word, entry.beginnings) for word in words]
    written = [without_group(word, open_groups(entry.config)) for word in written]
    try:
        plain = write_lists(rewrite_aliases(written, entry.aliases), entry.lists)
        return compose_raw(verb, plain, *folders, multirun="--multirun" in given).config
    except Exception:
        return None
