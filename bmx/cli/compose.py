"""Composes a verb's configuration without running it, with the checks that a run makes."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from bmx.cli.asked import Asked
from bmx.cli.declared import schema_for, told_of
from bmx.cli.deletions import refuse_deletions
from bmx.cli.errors import explain
from bmx.cli.idle import refuse_idle
from bmx.cli.inheriting import inherited_words
from bmx.cli.naming import run_name
from bmx.cli.rate import link_rate
from bmx.cli.rewriting import rewrite_words
from bmx.cli.search_path import extend_sys_path, make_loader
from bmx.cli.sweep_words import refuse_sweep_words
from bmx.cli.taken_up import judge_taken_up
from bmx.cli.verbs import VERBS
from bmx.config.conform import conform
from bmx.errors import UsageError
from bmx.runs.copies import refuse_copies
from bmx.verbs import composing

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader


class Composed(NamedTuple):
    """A composed configuration: with Hydra's own node, and what it was composed by."""

    config: DictConfig
    loader: ConfigLoader
    asked: Asked


def compose(verb: str, overrides: Iterable[str] = (), config_dir: str | None = None) -> DictConfig:
    """The configuration that ``bmx VERB overrides...`` would run with, named and checked but with nothing written.

    Args:
        verb: ``train``, ``evaluate``, ...
        overrides: the words of the command line, ``["model=cnn", "lr=0.1"]``.
        config_dir: one more folder of groups, as ``--config-dir``.

    Raises:
        UsageError: for a word, key or value that does not exist or does not fit.
    """
    refuse_copies()
    extend_sys_path(config_dir)
    written = rewrite_words(list(overrides), VERBS[verb])
    refuse_sweep_words(verb, written, multirun="--multirun" in VERBS[verb].flags)
    words = [*inherited_words(verb, written, {"--config-dir": config_dir} if config_dir else {}), *written]
    composed = compose_raw(verb, words, config_dir)
    settle(composed.config, composed.asked, composed.loader)
    refuse_idle(composed.config, composed.asked)
    return job_config(composed.config)


def compose_raw(
    verb: str,
    words: list[str],
    config_dir: str | None = None,
    config_name: str | None = None,
    config_path: str | None = None,
    multirun: bool = False,
) -> Composed:
    """As Hydra composes it: nothing named, nothing checked but the words themselves."""
    from hydra.types import RunMode

    asked = Asked(verb, config_name or VERBS[verb].config, tuple(words), multirun)
    loader = make_loader(verb, config_dir, config_path)
    try:
        config = loader.load_configuration(asked.config, list(words), RunMode.MULTIRUN if multirun else RunMode.RUN)
    except Exception as error:
        raise explain(error, asked, loader) from error
    return Composed(config, loader, asked)


def settle(config: DictConfig, asked: Asked, loader: ConfigLoader) -> None:
    """Give the run its name, then ``check_values``.

    Raises:
        UsageError: for the first thing that is wrong.
    """
    refuse_deletions(asked, loader)
    if "name" in config and config.name is None:
        config.name = run_name(config)
    with hydra_config(config):
        check_values(config, asked, loader)
        if config.get("resume"):
            judge_taken_up(job_config(config), asked.words)


def check_values(config: DictConfig, asked: Asked, loader: ConfigLoader | None) -> None:
    """Check every value against its declaration and give it the type that its key has, then every ``${...}``.

    Raises:
        UsageError: for the first thing that is wrong.
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
    """A copy without Hydra's own node, as a job gets it."""
    job = copy.deepcopy(config)
    with read_write(job), open_dict(job):
        job.pop("hydra", None)
    return job


@contextmanager
def hydra_config(config: DictConfig) -> Iterator[None]:
    """While it lasts, ``${hydra:...}`` resolves against this configuration; the output directory is not known yet."""
    from hydra.core.hydra_config import HydraConfig

    before = HydraConfig.instance().cfg
    with open_dict(config.hydra.runtime):
        if OmegaConf.is_missing(config.hydra.runtime, "output_dir"):
            config.hydra.runtime.output_dir = "auto"
    HydraConfig.instance().set_config(config)
    try:
        yield
    finally:
        HydraConfig.instance().cfg = before
        OmegaConf.set_readonly(config.hydra, False)


def _without_hydra(config: DictConfig) -> DictConfig:
    """A view of the same nodes, so that ``${...}`` still resolves from the root."""
    if "hydra" not in config:
        return config
    keys = [str(key) for key in config if key != "hydra"]
    return OmegaConf.masked_copy(config, keys)


def _compose_for_verb(verb: str, words: list[str]) -> DictConfig:
    """What a verb composes besides its own configuration, with the same folders of groups."""
    from bmx.cli.invocation import current

    invocation = current()
    return compose(verb, words, invocation.config_dir if invocation is not None else None)


composing.provide(_compose_for_verb)
