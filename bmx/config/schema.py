"""Schema of a verb's configuration, gathered from the declarations in the configuration files.

A key is declared in the root file of the verb, in the files of its config group, or in a file that builds the
same class: ``model.width`` of ``my_cnn.yaml`` is what ``cnn.yaml`` declares, if both build ``bmx.models.cnn.CNN``.
The root file has priority, so that the same key may have another type in another verb.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from bmx.config.declaration import Declaration, NotDeclared, parse
from bmx.config.folders import conf_dir, user_dirs
from bmx.config.yaml_comments import Entry, File, load
from bmx.errors import UsageError

# Folders of conf/ that set keys which are declared elsewhere.
_NOT_GROUPS = ("experiment", "space", "hydra")

OWN_KEYS: Mapping[str, Mapping[str, Any]] = {
    "data": {"val_size": 0.1, "in_memory": "auto", "workers": 2, "leave_out": None}
}
"""Keys that bmx itself reads in a node, whatever class it builds, with their defaults where its file omits them."""


@dataclass(frozen=True)
class Schema:
    """The declarations of one verb's configuration.

    Attributes:
        root: the keys of the root files, dotted within nodes.
        groups: the default options of the root files, by the node they fill; None where none is chosen.
        by_package: the keys of all group files, by their full name.
        by_target: the keys of nodes with a ``_target_``, by that and their name in the node.
        files: the files of each group.
    """

    root: Mapping[str, Entry]
    groups: Mapping[str, str | None]
    by_package: Mapping[str, Entry]
    by_target: Mapping[str, Mapping[str, Entry]]
    files: Mapping[str, tuple[Path, ...]]
    trees: dict[int, Mapping[str, Mapping[str, Entry]]] = field(default_factory=dict, repr=False, compare=False)

    def entry(self, key: str, config: DictConfig | None = None) -> Entry | None:
        """Where a key is declared; None where it is not.

        Args:
            key: dotted.
            config: the composed configuration, which has the ``_target_``; without it any file of the group counts.
        """
        own = self.root.get(key)
        if own is not None and own.declares:
            return own
        parts = key.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            if config is None:
                break
            node, rest = ".".join(parts[:cut]), ".".join(parts[cut:])
            target = target_of(config, node)
            if target is None:
                continue
            found = self.by_target.get(target, {}).get(rest)
            if found is not None or rest not in OWN_KEYS.get(node, ()):
                return found
            break
        return self.by_package.get(key, own)

    def declared(self, key: str, config: DictConfig | None = None) -> Declaration | None:
        """The declared type of a key; None where it has none. See ``entry``.

        Raises:
            UsageError: a declaration in a user's own file cannot be parsed.
        """
        found = self.entry(key, config)
        return declaration_of(found) if found is not None and found.declares else None

    def fields(self, node: str, config: DictConfig) -> dict[str, Entry]:
        """The known keys of a node, by their last part; empty where none are."""
        known = self._tree(self.root).get(node, {})
        target = target_of(config, node)
        if target is not None and target in self.by_target:
            return {**self._tree(self.by_target[target]).get("", {}), **known}
        for above in _above(node):
            inside = target_of(config, above)
            if inside is not None:
                return {**self._tree(self.by_target.get(inside, {})).get(node[len(above) + 1 :], {}), **known}
        if target is not None:
            return {key: entry for key, entry in known.items() if key in OWN_KEYS.get(node, ())}
        return {**self._tree(self.by_package).get(node, {}), **known}

    def _tree(self, entries: Mapping[str, Entry]) -> Mapping[str, Mapping[str, Entry]]:
        """The same keys by node and last part; cached."""
        if id(entries) not in self.trees:
            tree: dict[str, dict[str, Entry]] = {}
            for key, entry in entries.items():
                node, _, last = key.rpartition(".")
                tree.setdefault(node, {})[last] = entry
            self.trees[id(entries)] = tree
        return self.trees[id(entries)]

    def words_with(self, key: str) -> list[str]:
        """The options of a group whose files declare a key of its node: of ``data.dir`` the datasets read from disk."""
        group, _, rest = key.partition(".")
        words = (word for word, fields in self._words(group) if rest in fields)
        return list(dict.fromkeys(words))

    def _words(self, group: str) -> Iterator[tuple[str, set[str]]]:
        for path in self.files.get(group, ()):
            file = load(path)
            prefix = f"{group}." if file.package == "_global_" else ""
            yield path.stem, {key.removeprefix(prefix) for key in file.entries if key.startswith(prefix)}


def schema(verb: str, config: str | None = None, folders: Iterable[Path] | None = None) -> Schema:
    """The declarations of a verb.

    Args:
        verb: its root file in conf/, without ``.yaml``.
        config: another root file that is composed instead.
        folders: config directories in search order; by default the user's and bmx's own.
    """
    places = tuple(folders) if folders is not None else (*user_dirs(), conf_dir())
    roots = (verb,) if config in (None, verb) else (str(config), verb)
    chain = tuple(_chain(roots, places))
    groups = _defaults(chain)
    files = {group: _files(group, places) for group in _folders(groups)}
    stamp = tuple((path, path.stat().st_mtime_ns) for path in (*chain, *(p for some in files.values() for p in some)))
    return _gathered(stamp, chain, tuple(files.items()), tuple(groups.items()))


def of_hydra(part: str, folders: Iterable[Path]) -> Schema:
    """The declarations of ``hydra.sweeper`` or ``hydra.launcher``."""
    files = _files(f"hydra/{part}", tuple(folders))
    stamp = tuple((path, path.stat().st_mtime_ns) for path in files)
    return _gathered(stamp, (), ((f"hydra/{part}", files),), ())


def declaration_of(entry: Entry) -> Declaration:
    """Parses the declaration of an entry.

    Raises:
        UsageError: it cannot be parsed.
    """
    try:
        return parse(entry.declares)
    except NotDeclared as error:
        what, where = f"this declaration cannot be read: {error}", f"{entry.file}, line {entry.line}"
        raise UsageError(what, where, "write one such as #: int >= 1, or leave it out") from None


def target_of(config: DictConfig, node: str) -> str | None:
    """The ``_target_`` of a node; None where there is no such node, or it builds nothing."""
    found: Any = config
    for part in node.split(".") if node else ():
        found = found._get_node(part) if isinstance(found, DictConfig) and not is_empty(found) else None
    if not isinstance(found, DictConfig) or is_empty(found) or "_target_" not in found:
        return None
    target = found._get_node("_target_")
    value = target._value() if target is not None else None
    return value if isinstance(value, str) and value else None


def is_empty(node: Any) -> bool:
    """Whether a node is null, missing, or an interpolation, so that it has no keys of its own."""
    return bool(node._is_none() or node._is_missing() or node._is_interpolation())


def _above(node: str) -> Iterator[str]:
    while "." in node:
        node = node.rpartition(".")[0]
        yield node


def _chain(roots: Iterable[str], folders: tuple[Path, ...]) -> Iterator[Path]:
    """The root files, each before its bases; of every directory, since a user's may declare nothing."""
    for root in roots:
        for folder in folders:
            path = folder / f"{root}.yaml"
            if path.is_file():
                yield path
                parents = [one for one in load(path).defaults if isinstance(one, str) and one != "_self_"]
                yield from _chain(parents, folders)


def _defaults(chain: Iterable[Path]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for path in chain:
        for one in load(path).defaults:
            for group, word in one.items() if isinstance(one, dict) else ():
                if not str(group).startswith(("override ", "optional ", "hydra")):
                    found.setdefault(str(group), None if word is None else str(word))
    return found


def _folders(groups: Iterable[str]) -> list[str]:
    names = (group.partition("@")[0] for group in groups)
    return list(dict.fromkeys(name for name in names if name.partition("/")[0] not in _NOT_GROUPS))


def _files(group: str, folders: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(path for folder in folders for path in sorted((folder / group).glob("*.yaml")))


@lru_cache(maxsize=32)
def _gathered(stamp: Any, chain: Any, files: Any, groups: Any) -> Schema:
    root: dict[str, Entry] = {}
    for path in chain:
        _add(root, load(path).entries)
    packages: dict[str, Entry] = {}
    targets: dict[str, dict[str, Entry]] = {}
    for group, paths in files:
        for path in paths:
            file = load(path)
            _add(packages, _in_package(file, group))
            for target, fields in _built(file):
                _add(targets.setdefault(target, {}), fields)
    return Schema(root, dict(groups), packages, targets, dict(files))


def _add(known: dict[str, Entry], more: Mapping[str, Entry]) -> None:
    for key, entry in more.items():
        if key not in known or (entry.declares and not known[key].declares):
            known[key] = entry


def _in_package(file: File, group: str) -> dict[str, Entry]:
    package = {"_global_": "", None: group.replace("/", ".")}.get(file.package, file.package)
    return {f"{package}.{key}" if package else key: entry for key, entry in file.entries.items()}


def _built(file: File) -> Iterator[tuple[str, dict[str, Entry]]]:
    """The ``_target_`` of each node in a file, with the fields that are set for it."""
    for key, entry in file.entries.items():
        node, _, last = key.rpartition(".")
        if last == "_target_" and isinstance(entry.value, str):
            prefix = f"{node}." if node else ""
            yield entry.value, {k[len(prefix) :]: e for k, e in file.entries.items() if k.startswith(prefix)}
