"""Rejects sweep overrides that do not apply: in a single run, in a grid, or with another launcher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bmx.config.verbs import VERBS
from bmx.errors import UsageError

# Hydra sweepers that plan their jobs before anything is written.
OWN_SWEEPERS = "hydra_plugins.bmx_sweeper."

_OF_SWEEPS = ("hydra.sweeper", "hydra/sweeper", "hydra.launcher", "hydra/launcher", "hydra.sweep")
_OF_ONE_RUN = ("hydra.run",)
_OF_SEARCHES = ("trials", "minutes", "pruner", "space", "first", "sampler", "seed", "batch")
_SEARCHERS = ("tpe", "random", "gp", "nsga2")
# Of bmx's own launcher.
_OF_OWN_LAUNCHER = ("jobs", "jobs_per_gpu", "on_error", "timeout", "retries", "fork")


def refuse_sweep_words(verb: str, words: Sequence[str], multirun: bool) -> None:
    """Raises UsageError for an override of a sweep that is not run, or that its sweeper or launcher does not have.

    Args:
        verb: of the command line.
        words: overrides as Hydra reads them.
        multirun: whether the command runs many jobs.
    """
    if not multirun:
        _refuse_in_one_run(verb, words)
        return
    chosen = _last(words)
    for word in words:
        key = _key(word)
        where = f"the argument '{word}'"
        if _below(key, _OF_ONE_RUN):
            fix = "name the directory of the sweep: hydra.sweep.dir=FOLDER"
            raise UsageError("many runs do not share one directory", where, fix)
        sweeper = chosen.get("hydra/sweeper", "grid")
        if sweeper == "grid" and key.startswith("hydra.sweeper.") and key.rpartition(".")[2] in _OF_SEARCHES:
            fix = f"add sweeper=tpe (or {', '.join(_SEARCHERS[1:])}), or leave it out"
            raise UsageError(f"{key} is about a search, and this sweep is a grid", where, fix)
        launcher = chosen.get("hydra/launcher", "bmx")
        if launcher != "bmx" and key.startswith("hydra.launcher.") and key.rpartition(".")[2] in _OF_OWN_LAUNCHER:
            fix = f"leave it out, or leave out launcher={launcher}"
            raise UsageError(f"{key} is about bmx's own launcher, and this is another", where, fix)
        if key == "hydra.launcher.jobs_per_gpu" and chosen.get("hydra.launcher.jobs", "auto") != "auto":
            raise UsageError(f"{key} has no effect: jobs= says how many there are", where, "leave out one of the two")
        if key == "hydra.sweep.subdir" and sweeper != "basic":
            raise UsageError(f"{key} has no effect: jobs lie in jobs/, by what they are", where, "leave it out")
        if key == "resume" and word != "resume=null":
            raise UsageError("a sweep cannot resume one run", where, "leave it out: the same sweep goes on by itself")
        if key == "plan" and "true" in word:
            raise UsageError("a plan is of one run, not of a sweep", where, "bmx train --plan")


def _refuse_in_one_run(verb: str, words: Sequence[str]) -> None:
    if "--multirun" in VERBS[verb].flags:
        raise UsageError(f"bmx {verb} makes many runs", "--run", "leave out --run, or write bmx train")
    for word in words:
        key = _key(word)
        if _below(key, _OF_SWEEPS):
            fix = "add -m, or leave it out" if verb != "train" else "add -m, or write bmx sweep, or leave it out"
            raise UsageError(f"{key} is about many runs, and this is one", f"the argument '{word}'", fix)


def _below(key: str, beginnings: Sequence[str]) -> bool:
    return any(key == name or key.startswith((f"{name}.", f"{name}/")) for name in beginnings)


def _last(words: Sequence[str]) -> Mapping[str, str]:
    return {_key(word): word.partition("=")[2] for word in words}


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")
