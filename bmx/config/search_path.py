"""Search path of configuration: the user's directories, bmx's own, then those of installed packages."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from bmx.config import hydra_cache
from bmx.config.folders import conf_dir, root_file, user_dirs
from bmx.targets.standing import lies_in_run, stand_beside, word_folders

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

__all__ = [
    "conf_dir",
    "extend_sys_path",
    "make_loader",
    "packs",
    "register",
    "root_groups",
    "user_dirs",
    "version_base",
]


def packs() -> list[tuple[str, str]]:
    """Search path entries of installed packages: the entry points of the group ``bmx.conf``, as (name, path).

    An entry point's value is a package (``mypack.conf``, with an ``__init__.py``) that holds group folders.
    """
    from importlib.metadata import entry_points

    return [(entry.name, f"pkg://{entry.value}") for entry in entry_points(group="bmx.conf")]


def extend_sys_path(config_dir: str | None = None) -> None:
    """Makes ``_target_: my_net.Net`` importable from the current folder and from next to each config directory.

    They go last, so that a user's ``random.py`` does not shadow the standard library's. Nothing is importable from
    inside a run, and Hydra looks for its plugins where it did before: it imports whatever it finds there. Directories
    once named in this process stay: a configuration that was composed with one is run by a later call.
    """
    with suppress(ImportError):
        plugins = import_module("hydra_plugins")
        plugins.__path__ = list(plugins.__path__)  # else it follows the import path
    if config_dir:
        stand_beside(Path(config_dir).resolve())
    beside = [*user_dirs(), *word_folders()]
    for folder in (Path.cwd(), *(conf.parent for conf in beside)):
        if str(folder) not in sys.path and not lies_in_run(folder):
            sys.path.append(str(folder))


@cache
def plain_keys(conf: Path) -> frozenset[str]:
    """The keys of bmx's root configurations that are no groups: ``outputs``, ``plots``, ``epochs``, ...."""
    import yaml

    roots = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in conf.glob("*.yaml"))
    return frozenset(key for root in roots for key in root if not (conf / key).is_dir())


def root_groups(verb: str) -> list[str]:
    """The groups in a verb's defaults list, whatever the overrides: each has to be in a configuration of it."""
    import yaml

    from bmx.config.verbs import VERBS

    root = yaml.safe_load(root_file(VERBS[verb].config).read_text(encoding="utf-8"))
    chosen = [one for one in root.get("defaults", []) if isinstance(one, dict)]
    return [str(key) for one in chosen for key, word in one.items() if word is not None and key != "hydra"]


def _keep_keys_from_being_groups() -> None:
    """Patches Hydra to read ``outputs=elsewhere`` as a value with ``--config-dir=.``, next to a folder ``outputs``.

    Hydra takes every folder on the search path for a group, and a key of its name for a choice from it.
    """
    from hydra._internal.core_plugins.file_config_source import FileConfigSource

    original = FileConfigSource.is_group

    def is_group(self: FileConfigSource, config_path: str) -> bool:
        if not original(self, config_path):
            return False
        conf = conf_dir()
        return (conf / config_path).is_dir() or config_path not in plain_keys(conf)

    if original.__module__ != __name__:  # not done before
        FileConfigSource.is_group = is_group  # type: ignore[method-assign]


def register() -> None:
    """Registers the user's directories and installed packs with Hydra; idempotent."""
    from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
    from hydra.core.plugins import Plugins
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    class BmxSearchPath(SearchPathPlugin):
        def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
            for folder in user_dirs():
                search_path.prepend("user", f"file://{folder}", anchor=SearchPathQuery(provider="main"))
            for name, path in packs():
                search_path.append(f"pack:{name}", path)

    plugins = Plugins.instance()
    if all(known.__name__ != BmxSearchPath.__name__ for known in plugins.discover(SearchPathPlugin)):
        plugins.register(BmxSearchPath)
    # Not before: to find its plugins Hydra executes their modules, which redefines its classes.
    _keep_keys_from_being_groups()
    hydra_cache.install()


def make_loader(verb: str, config_dir: str | None = None, config_path: str | None = None) -> ConfigLoader:
    """A loader with the search path of a run of the verb, for composing outside ``hydra.main``."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_search_path import SearchPathQuery
    from hydra.core.utils import JobRuntime, setup_globals

    set_version_base()
    register()
    setup_globals()
    JobRuntime().set("name", verb)
    path = create_config_search_path(config_path or str(conf_dir()))
    if config_dir:
        folder = f"file://{Path(config_dir).resolve()}"
        path.prepend("command-line", folder, anchor=SearchPathQuery(provider="schema"))
    return ConfigLoaderImpl(path)


def version_base() -> str | None:
    """The ``version_base`` that bmx is written for; Hydra 1.4 wants none."""
    import hydra

    return "1.3" if hydra.__version__.startswith("1.3") else None


def set_version_base() -> None:
    """Sets that version base for this process."""
    from hydra import version

    version.setbase(version_base())
