"""Composes the configurations of a sweep's jobs quickly, hundreds a second.

Hydra composes a job in a tenth of a second, most of it for finding and merging the files of the chosen options. Jobs
with the same config choices differ in values only, which are set on a copy.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

from omegaconf import DictConfig, open_dict, read_write

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.override_parser.types import Override


class Composer:
    """Composes jobs of one root file; caches the base configuration of each set of config choices.

    Args:
        loader: finds the files.
        root: the root file in ``conf/``, without ``.yaml``.
    """

    def __init__(self, loader: ConfigLoader, root: str) -> None:
        from hydra.core.override_parser.overrides_parser import OverridesParser

        self.loader = loader
        self.root = root
        self._parser = OverridesParser.create(config_loader=loader)
        self._bases: dict[tuple[str, ...], DictConfig] = {}
        self._parsed: dict[str, Override] = {}

    def parse(self, word: str) -> Override:
        """Parses one override."""
        if word not in self._parsed:
            self._parsed[word] = self._parser.parse_overrides([word])[0]
        return self._parsed[word]

    def chooses(self, word: str) -> bool:
        """Whether an override chooses from a group, or is Hydra's: such cannot be set on a copy."""
        override = self.parse(word)
        repository = getattr(self.loader, "repository")  # noqa: B009  (not in the loader's abstract class)
        group = repository.group_exists(override.key_or_group) and not isinstance(override.value(), dict)
        return bool(group) or override.is_hydra_override() or override.package is not None

    def base(self, words: Sequence[str]) -> DictConfig:
        """The composed configuration, with the ``hydra`` node, of the group choices among the overrides."""
        from hydra.types import RunMode

        chosen = tuple(word for word in words if self.chooses(word))
        if chosen not in self._bases:
            self._bases[chosen] = self.loader.load_configuration(self.root, list(chosen), RunMode.RUN)
        return self._bases[chosen]

    def compose(self, words: Sequence[str]) -> DictConfig:
        """The configuration of a job, as it is run, without the ``hydra`` node.

        Raises what Hydra raises for an invalid override.
        """
        from hydra._internal.config_loader_impl import ConfigLoaderImpl

        base = self.base(words)
        # The interpolations of a job reach the hydra node only through the resolver ${hydra:...}.
        config = DictConfig({})
        with read_write(base), open_dict(base):
            hydra = base.pop("hydra")
            try:
                config = copy.deepcopy(base)
            finally:
                base["hydra"] = hydra
        values = [self.parse(word) for word in words if not self.chooses(word)]
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        return config
