"""What the check of a verb has prepared, handed to the verb itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from omegaconf import DictConfig, OmegaConf

T = TypeVar("T")


class Checked(Generic[T]):
    """What was prepared for one configuration; of no use to another.

    Args:
        cfg: the configuration that was checked.
        content: what its check has loaded and built.
    """

    def __init__(self, cfg: DictConfig, content: T) -> None:
        self._key = _key(cfg)
        self._content = content

    def fits(self, cfg: DictConfig) -> bool:
        """Whether this is the configuration that was checked."""
        return self._key == _key(cfg)


def prepared_for(cfg: DictConfig, checked: Checked[T] | None, prepare: Callable[[DictConfig], T]) -> T:
    """What a verb begins with: what its check has prepared for the same configuration, else what it prepares now."""
    return checked._content if checked is not None and checked.fits(cfg) else prepare(cfg)


def _key(cfg: DictConfig) -> str:
    return repr(OmegaConf.to_container(cfg, resolve=True))
