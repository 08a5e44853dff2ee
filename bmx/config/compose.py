"""Composes a verb's configuration without running it, with all checks of a run."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from bmx.caller_state import composing
from bmx.config import flags, override_grammar, resume
from bmx.config.as_typed import retell
from bmx.config.declared import schema_for, told_of
from bmx.config.deletions import refuse_deletions
from bmx.config.explain import explain
from bmx.config.inherited_config import inherited_words
from bmx.config.knobs import link_rate
from bmx.config.no_effect import refuse_idle
from bmx.config.outputs_folder import outputs_folder
from bmx.config.overrides import rewrite_aliases, rewrite_words, write_switches
from bmx.config.raw import compose_raw
from bmx.config.request import Asked
from bmx.config.resolve_runs import pin_runs
from bmx.config.run_name import run_name
from bmx.config.search_path import extend_sys_path
from bmx.config.suggestions import suggestion
from bmx.config.sweep_options import refuse_sweep_words
from bmx.config.validation import conform
from bmx.config.verbs import VERBS, Verb
from bmx.errors import BmxError, UsageError
from bmx.runs.copies import refuse_copies
from bmx.targets.standing import last_named

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader


Judge = Callable[[DictConfig, tuple[str, ...]], None]
"""Raises UsageError for an untrusted configuration of a resumed run, given its overrides and the command's."""


def compose(
    verb: str, overrides: Iterable[str] = (), config_dir: str | Path | None = None, judge: Judge | None = None
) -> DictConfig:
    """Implementation of :func:`bmx.compose`, with the same arguments.

    Args:
        verb: see there.
        overrides: see there.
        config_dir: see there.
        judge: checks what ``resume=`` brings from the run.

    Raises:
        UsageError: see there.
    """
    if verb not in VERBS or not VERBS[verb].config:
        composed_verbs = [name for name, entry in VERBS.items() if entry.config]
        raise UsageError(f"no verb '{verb}' to compose", f"bmx.compose({verb!r})", suggestion(verb, composed_verbs))
    if isinstance(overrides, str):
        fix = f"write bmx.compose({verb!r}, {overrides.split()!r})"
        raise UsageError("the words are a list, not one text", f"bmx.compose({verb!r}, {overrides!r})", fix)
    path = list(sys.path)
    with composing():
        try:
            return _compose(verb, list(overrides), config_dir, judge)
        finally:
            sys.path[:] = path


def _compose(verb: str, overrides: list[str], config_dir: str | Path | None, judge: Judge | None) -> DictConfig:
    refuse_copies()
    entry = VERBS[verb]
    given = [f"--config-dir={config_dir}"] if config_dir else []
    command = flags.parse(verb, write_switches([*given, *map(str, overrides)], entry.switches))
    odd = [flag for flag in command.flags if flag not in _FOLDERS]
    if odd:
        fix = f"leave it out, or use the command line: bmx {verb} {odd[0]}"
        raise UsageError(f"{odd[0]} is about how the command line runs", f"bmx.compose({verb!r})", fix)
    extend_sys_path(command.flags.get("--config-dir"))  # not the directory that a resumed run used
    _refuse_about_hydra(command, entry)
    if entry.resumes:
        command = resume.expand(command)
    typed, without = command.words, (resume.KEY, *entry.named_runs)
    written = rewrite_words(typed, entry, outputs=lambda: outputs_folder(verb, typed, command.flags, without))
    words = [*inherited_words(verb, written, command.flags), *written]
    folder, name, path = (command.flags.get(flag) for flag in _FOLDERS)
    try:
        composed = compose_raw(verb, [word for word in words if not _is_about_hydra(word)], folder, name, path)
        settle(composed.config, composed.asked, composed.loader, judge)
        refuse_idle(composed.config, composed.asked)
    except BmxError as error:
        retell(error, typed, written)
        raise
    return job_config(composed.config)


# Flags that locate configuration, in the order of compose_raw's parameters.
_FOLDERS = ("--config-dir", "--config-name", "--config-path")


def _is_about_hydra(word: str) -> bool:
    return override_grammar.key_of(word).startswith(("hydra.", "hydra/"))


def _refuse_about_hydra(command: flags.Command, entry: Verb) -> None:
    """Rejects overrides about sweeps and directories, which a single composed configuration cannot hold."""
    written = rewrite_aliases(command.words, entry.aliases)
    try:
        refuse_sweep_words(command.verb, written, multirun="--multirun" in entry.flags)
    except BmxError as error:
        retell(error, command.words, written)
        raise
    for typed, word in zip(command.words, written, strict=True):
        if _is_about_hydra(word):
            fix = f"leave it out, or use the command line: bmx {command.verb} -m {typed}"
            if override_grammar.key_of(word) == "hydra.run.dir":
                fix = f"name the directory when it is run: bmx.{command.verb}(cfg, run_dir=...)"
            what = f"{override_grammar.key_of(typed)} is about how the command line runs, not about one configuration"
            raise UsageError(what, f"the argument '{typed}'", fix)


def settle(config: DictConfig, asked: Asked, loader: ConfigLoader, judge: Judge | None = None) -> None:
    """Resolves named runs to directories, names this run, then runs ``check_values``.

    Raises:
        UsageError: the first error found.
    """
    refuse_deletions(asked, loader)
    pin_runs(config, VERBS[asked.verb])
    _refuse_fields_of_a_run(config, asked)
    if "name" in config and config.name is None:
        config.name = run_name(config)
    with hydra_config(config):
        check_values(config, asked, loader)
        if judge is not None and config.get("resume"):
            judge(job_config(config), asked.words)


def _refuse_fields_of_a_run(config: DictConfig, asked: Asked) -> None:
    """Raises UsageError for model fields of a student that is a run: its model is not built anew."""
    if asked.verb != "distill" or not config.get("student"):
        return
    for word in asked.words:
        if override_grammar.key_of(word) == "model" or override_grammar.key_of(word).startswith("model."):
            what = "the student is the model of a run, which is taken as it is"
            raise UsageError(what, f"the argument '{word}'", "leave it out")


def check_values(config: DictConfig, asked: Asked, loader: ConfigLoader | None) -> None:
    """Converts every value to its declared type, then checks every ``${...}``.

    Raises:
        UsageError: the first error found.
    """
    link_rate(config, asked)
    try:
        conform(config, schema_for(asked, loader), told_of(asked, loader))
    except OmegaConfBaseException as error:
        raise explain(error, asked, loader) from error
    values = _without_hydra(config)
    try:
        missing = sorted(OmegaConf.missing_keys(values))
        if missing:
            raise UsageError(f"{missing[0]} has no value", asked.where(missing[0], loader), f"write {missing[0]}=VALUE")
        OmegaConf.to_container(values, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise explain(error, asked, loader) from error


def job_config(config: DictConfig) -> DictConfig:
    """A copy without the ``hydra`` node, as a job receives it."""
    job = copy.deepcopy(config)
    with read_write(job), open_dict(job):
        job.pop("hydra", None)
    return job


@contextmanager
def hydra_config(config: DictConfig) -> Iterator[None]:
    """Context in which ``${hydra:...}`` resolves against this configuration; the output directory is not known yet."""
    from hydra.core.hydra_config import HydraConfig

    before = HydraConfig.instance().cfg
    with open_dict(config.hydra.runtime):
        if OmegaConf.is_missing(config.hydra.runtime, "output_dir"):
            config.hydra.runtime.output_dir = "auto"
    HydraConfig.instance().cfg = cast(Any, config)  # itself: `set_config` copies the whole hydra node
    try:
        yield
    finally:
        HydraConfig.instance().cfg = before


def _without_hydra(config: DictConfig) -> DictConfig:
    """A view of the same nodes, so that ``${...}`` still resolves from the root."""
    if "hydra" not in config:
        return config
    keys = [str(key) for key in config if key != "hydra"]
    return OmegaConf.masked_copy(config, keys)


def compose_other(verb: str, words: list[str]) -> DictConfig:
    """Composes ``bmx VERB words...`` for a verb that needs another's configuration, in the same search path.

    Raises:
        UsageError: an override, key or value that does not exist or is invalid.
    """
    from bmx.config.invocation import current

    invocation = current()
    return compose(verb, words, invocation.config_dir if invocation is not None else last_named())
