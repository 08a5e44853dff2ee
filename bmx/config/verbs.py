"""Registry of the verbs (subcommands) of ``bmx``, discovered from modules.

Each subpackage of bmx's package of verbs holds one, and so does each module of a namespace package ``bmx_verbs`` on
the import path, for verbs of other packages. A module describes its verb by its ``VERB``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from bmx.config.plugins import modules

_NONE: Mapping[str, str] = MappingProxyType({})
_NO_SWITCHES: Mapping[str, tuple[str, str]] = MappingProxyType({})

SWEEPING: Mapping[str, str] = MappingProxyType(
    {
        "jobs": "hydra.launcher.jobs",
        "on_error": "hydra.launcher.on_error",
        "timeout": "hydra.launcher.timeout",
        "retries": "hydra.launcher.retries",
        "jobs_per_gpu": "hydra.launcher.jobs_per_gpu",
        "launcher": "hydra/launcher",
        "seeds": "hydra.sweeper.seeds",
        "objective": "hydra.sweeper.objective",
        "reuse": "hydra.sweeper.reuse",
        "fresh": "hydra.sweeper.fresh",
        "sweeper": "hydra/sweeper",
        "trials": "hydra.sweeper.trials",
        "minutes": "hydra.sweeper.minutes",
        "pruner": "hydra.sweeper.pruner",
        "space": "hydra.sweeper.space",
        "first": "hydra.sweeper.first",
    }
)
"""Aliases of the settings of a sweep, for every verb that ``-m`` runs many times."""


class Verb(NamedTuple):
    """A verb: one subcommand of the command line.

    A verb with a ``config`` is composed by Hydra and its target is called as ``f(cfg, run_dir) -> result``;
    without one its target is a plain command, called as ``f(words) -> exit code``.
    """

    place: int
    """Position in the list of ``bmx --help``."""
    help: str
    """One line, shown by ``bmx --help``."""
    target: str
    """``module:function``; imported only when a job really runs."""
    config: str = ""
    """The root file in ``conf/``, without ``.yaml``."""
    check: str = ""
    """``module:function`` that raises UsageError for a configuration that cannot run, before anything is written.

    Its result, if any, is passed to the target as ``checked``."""
    examples: tuple[str, ...] = ()
    aliases: Mapping[str, str] = _NONE
    """Aliases of longer keys: ``teacher=`` for ``model@teacher=``."""
    flags: tuple[str, ...] = ()
    """Flags that the verb implies unless another mode is requested: a sweep implies ``--multirun``."""
    jobs: str = ""
    """The verb that the jobs of a sweep run as; empty for this one."""
    job_words: tuple[str, ...] = ()
    """Overrides that each job of a sweep gets unless the command sets the key."""
    resumes: bool = False
    """Whether ``resume=RUN`` resumes an earlier run in its own directory."""
    lists: tuple[str, ...] = ()
    """Keys that take several values at once, so that ``run=A,B`` is a list for one job and not a sweep."""
    switches: Mapping[str, tuple[str, str]] = _NO_SWITCHES
    """Flags of this verb alone: the override that each stands for, and a line of help."""
    preview: str = ""
    """``module:function`` that is called with the configuration where ``plan=true``, instead of a run."""
    rank: str = ""
    """``module:function`` that trains beside rank 0, called as ``f(cfg, run_dir)``; empty for a verb of one process."""
    report: str = ""
    """``module:function`` that is called when the jobs of a sweep of this verb have ended, with the sweep's directory
    and the configuration that its jobs have in common."""
    named_runs: Mapping[str, str] = _NONE
    """Keys that name runs, by references such as ``latest`` that may change: they are resolved to directories.
    With a group, what is no run is an option of it: ``student=cnn`` is ``model=cnn``."""
    inherits: Mapping[str, str] = _NONE
    """Keys that name runs, with the group whose option and fields are inherited from them where the command chooses
    none; the first key that provides a group wins."""
    beginnings: Mapping[str, str] = _NONE
    """Key prefixes that stand for others: ``student.`` for ``model.``."""


@cache
def _found() -> dict[str, Verb]:
    """Every verb by its name; the modules that describe them import nothing heavy."""
    verbs: dict[str, Verb] = {}
    for module in modules("verbs", "bmx_verbs", "verb", subpackages=True):
        verb = getattr(module, "VERB", None)
        if isinstance(verb, Verb):
            verbs.setdefault(module.__name__.rpartition(".")[2], verb)
    return dict(sorted(verbs.items(), key=lambda item: item[1].place))


class _Verbs(MutableMapping[str, Verb]):
    """The verbs by name; discovered on first use."""

    def __getitem__(self, name: str) -> Verb:
        return _found()[name]

    def __setitem__(self, name: str, verb: Verb) -> None:
        _found()[name] = verb

    def __delitem__(self, name: str) -> None:
        del _found()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_found())

    def __len__(self) -> int:
        return len(_found())


VERBS: MutableMapping[str, Verb] = _Verbs()
