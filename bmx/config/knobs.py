"""Links ``optim.lr`` to the top-level ``lr``, the single key for the learning rate, for user-defined optimisers too."""

from __future__ import annotations

from collections.abc import Iterable

from omegaconf import DictConfig, OmegaConf, open_dict

from bmx.config.request import Asked
from bmx.errors import UsageError

_LINK = "${lr}"


def link_rate(config: DictConfig, asked: Asked) -> None:
    """Replaces ``optim.lr`` by a reference to ``lr`` where an optimiser file sets a number.

    That number is the default of ``lr``; a typed ``lr`` overrides it.

    Raises:
        UsageError: ``optim.lr`` was typed instead of ``lr``.
    """
    optim = OmegaConf.select(config, "optim")
    if "lr" not in config.keys() or not isinstance(optim, DictConfig) or "lr" not in optim:  # noqa: SIM118  (may be ???)
        return
    if OmegaConf.is_interpolation(optim, "lr") or optim.lr is None:
        return
    typed = set(_keys([*asked.words, *_of_job(config)]))
    own = optim.lr
    if "optim.lr" in typed:
        too = f", and lr={config.lr} is there too" if "lr" in typed else ""
        what = f"the step size has one word, lr{too}"
        raise UsageError(what, asked.where("optim.lr"), f"write lr={own} in the place of optim.lr={own}")
    if OmegaConf.is_missing(config, "lr"):
        config.lr = own
    elif "lr" not in typed and config.lr != own:
        return  # two files with different values; the code that builds the optimiser resolves that
    with open_dict(optim):
        optim.lr = _LINK


def _keys(words: Iterable[str]) -> Iterable[str]:
    return (word.partition("=")[0].lstrip("+~") for word in words)


def _of_job(config: DictConfig) -> list[str]:
    """The overrides of one job of a sweep, which the command line need not hold: a search generates them."""
    from hydra.core.hydra_config import HydraConfig

    if "hydra" in config:
        return [str(word) for word in OmegaConf.select(config, "hydra.overrides.task") or []]
    return [str(word) for word in HydraConfig.get().overrides.task] if HydraConfig.initialized() else []
