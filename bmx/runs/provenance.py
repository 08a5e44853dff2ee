"""Environment of a run: package versions, machine and git commit, found without importing the packages."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from bmx import __version__

_PACKAGES = {
    "torch": "torch",
    "lightning": "pytorch-lightning",
    "hydra": "hydra-core",
    "omegaconf": "omegaconf",
    "numpy": "numpy",
}
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8", "asimd", "bf16", "sve")
PATIENCE_SECONDS = 2.0  # seconds that git may take; a run does not wait for a slow network disk


def facts(folder: Path | None = None) -> dict[str, Any]:
    """Versions, platform, processor and the git commit of a folder (the current one): JSON-ready.

    ``{"versions": {...}, "platform": str, "cpu": {"model", "flags", "cores"}, "git": {"commit", "dirty"} | None}``
    """
    return {
        "versions": versions(),
        "platform": " ".join(platform.uname()[i] for i in (0, 2, 4)),
        "cpu": dict(cpu()),
        "git": git(folder or Path.cwd()),
    }


def git(folder: Path) -> dict[str, Any] | None:
    """The commit checked out in a folder and whether tracked files differ from it; None outside a repository.

    ``dirty`` is None where git took too long to say, ``commit`` is None before the first commit.
    """
    folder = folder.absolute()
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return None  # the usual case outside a checkout costs no process
    told = _ask_git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no")
    if told is not None:
        lines = told.splitlines()
        commit = next((line.split()[2] for line in lines if line.startswith("# branch.oid ")), None)
        return {
            "commit": None if commit == "(initial)" else commit,
            "dirty": any(not line.startswith("#") for line in lines),
        }
    head = _ask_git(folder, "rev-parse", "HEAD")
    return {"commit": head.strip(), "dirty": None} if head else None


def _ask_git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE_SECONDS,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def versions() -> dict[str, str | None]:
    """The versions of bmx, Python and the packages that compute; None for one that is not installed."""
    return dict(installed_versions())


@cache
def installed_versions() -> tuple[tuple[str, str | None], ...]:
    """Package and version, read once per process."""
    # bmx by its own constant: in a checkout it may not be installed.
    found: list[tuple[str, str | None]] = [("bmx", __version__), ("python", platform.python_version())]
    for name, package in _PACKAGES.items():
        try:
            found.append((name, metadata.version(package)))
        except metadata.PackageNotFoundError:
            found.append((name, None))
    return tuple(found)


@cache
def cpu() -> tuple[tuple[str, Any], ...]:
    """Model, instruction sets and cores of the processor, read once per process."""
    model, flags = "", set()
    try:
        with Path("/proc/cpuinfo").open(errors="replace") as lines:
            for line in lines:
                if not line.strip():  # the end of the first core: the others are the same
                    break
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    model = value.strip()
                elif key.strip() in ("flags", "Features"):
                    flags = set(value.split())
    except OSError:
        pass
    model = model or platform.processor() or platform.machine()
    return (("model", model), ("flags", [f for f in _FLAGS if f in flags]), ("cores", os.cpu_count()))
