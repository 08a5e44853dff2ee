"""What the check of a verb has prepared, handed to the verb itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from omegaconf import DictConfig, OmegaConf

from bmx.targets.standing import all_vouched, vouch

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
        self._vouched = all_vouched()

    def fits(self, cfg: DictConfig) -> bool:
        """Whether this is the configuration that was checked."""
        return self._key == _key(cfg)


def prepared_for(cfg: DictConfig, checked: Checked[T] | None, prepare: Callable[[DictConfig], T]) -> T:
    """What a verb begins with: what its check has prepared for the same configuration, else what it prepares now."""
    if checked is None or not checked.fits(cfg):
        return prepare(cfg)
    vouch(checked._vouched)  # what the check has judged is read again, out of the files that the verb writes
    return checked._content


def handed_on(checked: object) -> dict[str, Any]:
    """The arguments with which a verb is given what its check returned; none where a check returns nothing."""
    return {} if checked is None else {"checked": checked}


def _key(cfg: DictConfig) -> str:
    return repr(OmegaConf.to_container(cfg, resolve=True))
