"""Passes objects that a verb's check has loaded and built on to the verb itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from omegaconf import DictConfig, OmegaConf

from bmx.targets.standing import all_vouched, vouch

T = TypeVar("T")


class Checked(Generic[T]):
    """Prepared objects of one configuration, not valid for another.

    Args:
        cfg: the configuration that was checked.
        content: what the check has loaded and built.
    """

    def __init__(self, cfg: DictConfig, content: T) -> None:
        self._key = _key(cfg)
        self._content = content
        self._vouched = all_vouched()

    def fits(self, cfg: DictConfig) -> bool:
        """Whether this is the configuration that was checked."""
        return self._key == _key(cfg)


def prepared_for(cfg: DictConfig, checked: Checked[T] | None, prepare: Callable[[DictConfig], T]) -> T:
    """The objects that the check prepared for this configuration; else prepares them now."""
    if checked is None or not checked.fits(cfg):
        return prepare(cfg)
    vouch(checked._vouched)  # targets that the check accepted are read again, from the files that the verb writes
    return checked._content


def handed_on(checked: object) -> dict[str, Any]:
    """Keyword arguments that pass a check's result on to its verb; none where the check returns nothing."""
    return {} if checked is None else {"checked": checked}


def _key(cfg: DictConfig) -> str:
    return repr(OmegaConf.to_container(cfg, resolve=True))
