"""Trust check of the targets in a resumed run's configuration, which is untrusted input."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from omegaconf import DictConfig

from bmx.config import search_path
from bmx.config.resume import own_words
from bmx.targets.standing import KEY, Named, run_of, targets_in, targets_of, trusting


def _own_words_of_bmx() -> set[Named]:
    """The targets of bmx's own config options, each with its group."""
    conf = search_path.conf_dir()
    folders = [folder for folder in conf.iterdir() if folder.is_dir()]
    return {(folder.name, target) for folder in folders for target in targets_of([folder])}


def judge_resumed(config: DictConfig, words: Iterable[str]) -> None:
    """Checks the targets of a resumed run, except those given on the command line.

    Args:
        config: composed from the run's overrides and the new ones; its ``resume`` is the run directory.
        words: all these overrides.

    Raises:
        UsageError: a target has the wrong type for its group, or is not trusted.
    """
    run = Path(str(config.get("resume")))
    if not targets_in(config) or not run.is_dir():
        return
    from bmx.engine.trust_check import judge_all  # needs torch, which few of these commands need here

    kept = set(own_words(run) or ())
    typed = [word.partition("=")[0].lstrip("+~") for word in words if word not in kept and not word.startswith("~")]
    with trusting(config.get(KEY), _own_words_of_bmx()):
        judge_all(config, run_of(run)[0] or run, typed)
