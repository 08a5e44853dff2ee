"""bmx runs deep-learning architecture experiments: train, compress, distil, and measure what was gained and lost.

Every verb that makes one run is also a function here (``bmx.train(cfg)``), with the same checks, and ``bmx.load(run)``
returns a run's model ready to use; many runs at once are the command line's, ``bmx sweep``, and ``bmx.export`` is
a package: its verb is ``bmx.api.export``. Names are imported on first use, so that ``import bmx`` is fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "train": "bmx.api",
    "evaluate": "bmx.api",
    "bench": "bmx.api",
    "compress": "bmx.api",
    "distill": "bmx.api",
    "load": "bmx.api",
    "compose": "bmx.api",
}

__all__ = ["__version__", "bench", "compose", "compress", "distill", "evaluate", "load", "train"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'bmx' has no attribute {name!r}")
