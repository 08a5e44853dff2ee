"""Composes a configuration exactly as Hydra does, without bmx's run names and value checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from omegaconf import DictConfig

from bmx.config.explain import explain
from bmx.config.request import Asked
from bmx.config.search_path import make_loader
from bmx.config.verbs import VERBS

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader


class Composed(NamedTuple):
    """A composed configuration with its ``hydra`` node, the loader that composed it, and the request."""

    config: DictConfig
    loader: ConfigLoader
    asked: Asked


def compose_raw(
    verb: str,
    words: list[str],
    config_dir: str | None = None,
    config_name: str | None = None,
    config_path: str | None = None,
    multirun: bool = False,
) -> Composed:
    """Composes a verb's configuration as Hydra does; only the overrides themselves are checked.

    Raises:
        UsageError: an override that Hydra rejects.
    """
    from hydra.types import RunMode

    asked = Asked(verb, config_name or VERBS[verb].config, tuple(words), multirun)
    loader = make_loader(verb, config_dir, config_path)
    try:
        config = loader.load_configuration(asked.config, list(words), RunMode.MULTIRUN if multirun else RunMode.RUN)
    except Exception as error:
        raise explain(error, asked, loader) from error
    return Composed(config, loader, asked)
