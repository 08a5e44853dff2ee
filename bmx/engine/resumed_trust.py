"""Judges what a resumed run brings along and would have called: it is a stranger's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from omegaconf import DictConfig

from bmx.config import search_path
from bmx.config.resume import own_words
from bmx.targets.standing import KEY, Named, run_of, targets_in, targets_of, trusting


def _own_words_of_bmx() -> set[Named]:
    """What bmx's own words name, in the group of each."""
    conf = search_path.conf_dir()
    folders = [folder for folder in conf.iterdir() if folder.is_dir()]
    return {(folder.name, target) for folder in folders for target in targets_of([folder])}


def judge_resumed(config: DictConfig, words: Iterable[str]) -> None:
    """Judges what a resumed run would call, but for what the command line says itself.

    Args:
        config: as composed of the run's words and the new ones; its ``resume`` is the run directory.
        words: all of them.

    Raises:
        UsageError: it names what its place does not need, or what nobody trusts.
    """
    run = Path(str(config.get("resume")))
    if not targets_in(config) or not run.is_dir():
        return
    from bmx.engine.trust_check import judge_all  # needs torch, as few of these commands do here

    kept = set(own_words(run) or ())
    typed = [word.partition("=")[0].lstrip("+~") for word in words if word not in kept and not word.startswith("~")]
    with trusting(config.get(KEY), _own_words_of_bmx()):
        judge_all(config, run_of(run)[0] or run, typed)
