"""The parsed request of a command line, and the argument or file in which a key was set."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader


class Asked(NamedTuple):
    """A request: the verb, the root file, and the overrides of the command line."""

    verb: str
    config: str
    words: tuple[str, ...]
    multirun: bool = False

    def where(self, key: str, loader: ConfigLoader | None = None) -> str:
        """Where a key was set: the argument, else the file and line, else the key itself."""
        for word in reversed(self.words):
            if word.partition("=")[0].lstrip("+~") == key:
                return f"the argument '{word}'"
        entry = _entry(key, self, loader)
        return f"{entry[0]}, line {entry[1]}" if entry else f"the key '{key}'"


def asked_line(asked: Asked) -> str:
    """The command for an error message; long ones are cut."""
    line = " ".join(["bmx", asked.verb, *asked.words])
    return line if len(line) <= 100 else line[:97] + "..."


def _entry(key: str, asked: Asked, loader: ConfigLoader | None) -> tuple[str, int] | None:
    if loader is None:
        return None
    from bmx.config.yaml_source import entries

    try:
        found = entries(loader, asked.config, list(asked.words)).get(key)
    except Exception:  # the composition itself fails; the key alone must do
        return None
    return (str(found.file), found.line) if found else None
