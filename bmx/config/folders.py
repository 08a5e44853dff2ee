"""Paths of bmx's own and the user's configuration directories."""

from __future__ import annotations

import os
from pathlib import Path

from bmx.errors import UsageError
from bmx.targets.standing import lies_in_run


def conf_dir() -> Path:
    """bmx's configuration directory: inside the package once installed, next to it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise UsageError("bmx's own configuration is missing", str(package / "conf"), "install bmx again")


def root_file(root: str) -> Path:
    """The root configuration file of a verb: bmx's own, or the user's, for verbs of other packages."""
    own = conf_dir() / f"{root}.yaml"
    found = (folder / own.name for folder in user_dirs())
    return own if own.is_file() else next((file for file in found if file.is_file()), own)


def user_dirs() -> list[Path]:
    """Directories searched before bmx's own, first match wins: those of $BMX_CONF, then ``./bmx_conf``.

    Raises:
        UsageError: $BMX_CONF names a directory that does not exist.
    """
    folders = []
    for name in os.environ.get("BMX_CONF", "").split(os.pathsep):
        if not name:
            continue
        folder = Path(name).expanduser().resolve()
        if not folder.is_dir():
            raise UsageError(f"no folder '{name}'", "the environment variable BMX_CONF", "name folders that exist")
        folders.append(folder)
    beside = Path("bmx_conf").resolve()
    if beside.is_dir() and beside not in folders and not lies_in_run(beside):  # a run supplies no configuration
        folders.append(beside)
    return folders
