"""Caches what Hydra recomputes on every composition: parsed YAML files, and the lookup of ``hydra.mode``.

Composed configurations do not change. A file is parsed again if it was replaced, or modified just now.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmx.config import node_copies
from bmx.config.yaml_source import Loader, find, read

if TYPE_CHECKING:
    from hydra._internal.core_plugins.file_config_source import FileConfigSource
    from hydra._internal.hydra import Hydra
    from hydra.plugins.config_source import ConfigResult
    from omegaconf import DictConfig

SETTLED_NS = 2 * 10**9
"""Nanoseconds. A file modified less than this ago may change again within the same timestamp: 2 s on FAT."""

_MOST = 1024
known: dict[tuple[Any, ...], ConfigResult] = {}


def install() -> None:
    """Patches Hydra's methods in place; idempotent."""
    from hydra._internal import defaults_list
    from hydra._internal.core_plugins.file_config_source import FileConfigSource
    from hydra._internal.hydra import Hydra

    node_copies.install()
    for owner, name, quicker in (
        (FileConfigSource, "load_config", _read_once),
        (Hydra, "get_mode", _looked_up),
        (defaults_list, "_create_interpolation_map", _where_needed),
    ):
        slow = getattr(owner, name, None)
        if slow is not None and not hasattr(slow, "__wrapped__"):
            setattr(owner, name, wraps(slow)(quicker(slow)))


def _read_once(slow: Callable[..., ConfigResult]) -> Callable[..., ConfigResult]:
    """Wraps the loading of configuration files: parsed by libyaml, cached while the file is unchanged."""

    def load_config(self: FileConfigSource, config_path: str) -> ConfigResult:
        path = Path(self.path, self._normalize_file_name(config_path))
        try:
            stat = path.stat()
        except OSError:
            return slow(self, config_path)
        key = (path, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino, self.path, self.provider)
        found = known.get(key)
        if found is None:
            found = _parsed(self, path) or slow(self, config_path)  # which reports what is wrong with it
            if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) < SETTLED_NS:
                return found
            if len(known) >= _MOST:
                known.clear()
            known[key] = found
        # Hydra takes the defaults list out and puts the nodes into what it composes.
        made = copy.copy(found)
        made.config = copy.deepcopy(found.config)
        return made

    return load_config


def _parsed(source: FileConfigSource, path: Path) -> ConfigResult | None:
    """Parses a file as Hydra does; None where it is invalid."""
    import yaml
    from hydra.plugins.config_source import ConfigResult
    from omegaconf import OmegaConf

    try:
        text = path.read_text(encoding="utf-8")
        config = yaml.load(text, Loader=_loader())
    except (OSError, ValueError, yaml.YAMLError):
        return None
    if config is not None and not isinstance(config, (dict, list)):
        return None
    made = OmegaConf.create() if config is None else OmegaConf.create(config)
    header = source._get_header_dict(text[:512])
    return ConfigResult(config=made, path=f"{source.scheme()}://{source.path}", provider=source.provider, header=header)


@cache
def _loader() -> type:
    """OmegaConf's loader over libyaml, where PyYAML has it."""
    import yaml
    from omegaconf._utils import get_yaml_loader

    slow = get_yaml_loader()

    class Quick(Loader):
        yaml_implicit_resolvers = slow.yaml_implicit_resolvers
        yaml_constructors = slow.yaml_constructors

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
            plain = [key.value for key, _ in node.value if key.tag == yaml.resolver.BaseResolver.DEFAULT_SCALAR_TAG]
            if len(set(plain)) < len(plain):
                raise yaml.constructor.ConstructorError("a key twice")
            return super().construct_mapping(node, deep=deep)

    return Quick


def _looked_up(slow: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps the lookup of ``hydra.mode``: None where no override and no chosen file can set it."""

    def get_mode(self: Hydra, config_name: str | None, overrides: list[str]) -> Any:
        from hydra.types import RunMode

        keys = [word.partition("=")[0].lstrip("+~") for word in overrides]
        if any(key in ("hydra", "hydra.mode", "hydra.searchpath") for key in keys):
            return slow(self, config_name, overrides)
        loader = self.config_loader
        try:
            defaults = loader.compute_defaults_list(config_name, overrides, RunMode.MULTIRUN).defaults
            files = [(one, find(loader, one.config_path or "")) for one in defaults]
            for one, file in files:
                if file is None and not (one.config_path or "").startswith("hydra/"):
                    return slow(self, config_name, overrides)
                for key, entry in read(file) if file is not None else ():
                    if key.rpartition(".")[2] in ("mode", "searchpath") or (key == "hydra" and not entry.is_map):
                        return slow(self, config_name, overrides)
        except Exception:  # composing reports it
            return None
        return None

    return get_mode


def _where_needed(slow: Callable[..., DictConfig]) -> Callable[..., DictConfig | None]:
    """Wraps the configuration of known choices: only made for a defaults list that refers to one (``${model}``)."""

    def create(overrides: Any, defaults_list: list[Any], self_added: bool) -> DictConfig | None:
        if not any(default.is_interpolation() for default in defaults_list):
            return None
        return slow(overrides, defaults_list, self_added)

    return create
