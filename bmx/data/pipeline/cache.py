"""Disk cache of arrays that are slow to compute, safe under concurrent runs."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import uuid
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np

_LOG = logging.getLogger(__name__)
# A process that waits longer than this for another to finish building builds the arrays itself.
_PATIENCE_SECONDS = 300
_INDEX = "index.json"


def cache_folder() -> Path:
    """``$BMX_CACHE``, or the platform's cache folder for bmx; it may not exist yet."""
    if chosen := os.environ.get("BMX_CACHE"):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("bmx", appauthor=False)


def cached_arrays(key: str, build: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Returns the arrays that ``build`` computes, from the cache if it has them.

    An entry is a folder of .npy files that appears by one rename, so a reader never sees a partial one; one process
    builds while the others wait. A damaged entry is rebuilt. Where the cache cannot be written the arrays are built
    every time, with one warning.

    Args:
        key: name of the entry; includes every version that the contents depend on.
        build: computes the arrays; plain numbers and fixed-width strings, no objects.
    """
    root = cache_folder() / "arrays"
    entry = root / re.sub(r"[^\w.=-]+", "-", key)
    if (found := _load(entry)) is not None:
        return found
    try:
        from filelock import FileLock

        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{entry}.lock", timeout=_PATIENCE_SECONDS)
        lock.acquire()
    except (OSError, NotImplementedError) as error:  # filelock's Timeout is an OSError
        warn_once(root, str(error))
        return dict(build())
    try:
        # Another process may have built it while this one waited.
        if (found := _load(entry)) is not None:
            return found
        arrays = {name: np.ascontiguousarray(array) for name, array in build().items()}
        try:
            _save(entry, arrays)
        except OSError as error:
            warn_once(root, str(error))
        return arrays
    finally:
        lock.release()


def _save(entry: Path, arrays: Mapping[str, np.ndarray]) -> None:
    fresh = entry.with_name(f".{entry.name}.{uuid.uuid4().hex}")
    try:
        fresh.mkdir()
        for name, array in arrays.items():
            np.save(fresh / f"{name}.npy", array, allow_pickle=False)
        (fresh / _INDEX).write_text(json.dumps({name: _digest(array) for name, array in arrays.items()}))
        if entry.exists():
            # A folder cannot be renamed over a non-empty one: the damaged entry is renamed first.
            aside = entry.with_name(f".{entry.name}.{uuid.uuid4().hex}")
            entry.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        fresh.rename(entry)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _load(entry: Path) -> dict[str, np.ndarray] | None:
    """The arrays of an entry, or None if it is missing or damaged."""
    try:
        digests = json.loads((entry / _INDEX).read_text())
        arrays = {name: np.load(entry / f"{name}.npy", allow_pickle=False) for name in digests}
        if all(_digest(array) == digests[name] for name, array in arrays.items()):
            return arrays
    except FileNotFoundError:
        if not entry.exists():
            return None
    except (OSError, ValueError, EOFError, TypeError, AttributeError):
        pass
    _LOG.info("the cache entry %s is damaged and is made anew", entry)
    return None


def _digest(array: np.ndarray) -> str:
    head = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.blake2b(head + np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()


@cache
def warn_once(root: Path, reason: str) -> None:
    """Warns, once per folder and reason, that nothing is cached there."""
    _LOG.warning("nothing is cached: %s cannot be written (%s); set $BMX_CACHE to a folder that can", root, reason)
