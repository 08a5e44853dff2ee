"""Imports Lightning in half the time, by hiding optional dependencies of torchmetrics.

torchmetrics, which Lightning imports, imports scipy, matplotlib, torchvision and transformers wherever they are
installed, for features unused here; that and the garbage collector's walks over half a million new objects are most
of the start-up time. Everything hidden here imports as usual afterwards.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import sys
from typing import Any

_OPTIONAL = ("scipy", "matplotlib", "torchvision", "torchaudio", "transformers", "onnxruntime")


def import_lightning() -> None:
    """Imports torch and pytorch_lightning once, without the optional dependencies of torchmetrics."""
    if "pytorch_lightning" in sys.modules:
        return
    collecting = gc.isenabled()
    gc.disable()
    try:
        if "torchmetrics" not in sys.modules:
            _import_torchmetrics_alone()
        # Kineto, torch's profiler, reads this once and otherwise prints every start and stop.
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")
        import pytorch_lightning  # noqa: F401

        # Lightning's messages (available devices, the checkpoint it restores) are printed by bmx itself.
        for name in ("pytorch_lightning", "lightning_fabric"):
            logging.getLogger(name).setLevel(logging.WARNING)
    finally:
        # Imported objects live until the end: the collector need not scan them again, nor at exit.
        gc.freeze()
        if collecting:
            gc.enable()


def _import_torchmetrics_alone() -> None:
    requirements: Any = importlib.import_module("lightning_utilities.core.imports")
    find_version = requirements._version
    hidden = [name for name in _OPTIONAL if name not in sys.modules]

    def version(name: str) -> str:
        if name in _OPTIONAL:
            raise requirements.PackageNotFoundError(name)
        return find_version(name)

    requirements._version = version
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # makes `import name` fail at once
    try:
        import torchmetrics  # noqa: F401
    finally:
        requirements._version = find_version
        for name in hidden:
            sys.modules.pop(name, None)
