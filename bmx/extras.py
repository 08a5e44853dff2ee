"""Optional dependencies (extras): which packages each has, whether they are installed, and how to install them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from types import MappingProxyType

from bmx.errors import UsageError

EXTRAS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "tensorboard": ("tensorboard",),
        "wandb": ("wandb",),
        "mlflow": ("mlflow",),
        "onnx": ("onnx", "onnxscript", "onnxruntime"),
        "safetensors": ("safetensors",),
        "tensorly": ("tensorly",),
        "optuna": ("optuna",),
        "submitit": ("hydra_plugins.hydra_submitit_launcher", "submitit"),
        "joblib": ("hydra_plugins.hydra_joblib_launcher", "joblib"),
        "ray": ("hydra_plugins.hydra_ray_launcher", "ray"),
    }
)
"""The extras of the package, as in ``pip install 'bmx[NAME]'``, with the modules that each installs."""

# The extra of each launcher, by its option.
LAUNCHERS: Mapping[str, str] = MappingProxyType(
    {"submitit_slurm": "submitit", "submitit_local": "submitit", "joblib": "joblib", "ray": "ray"}
)


def is_there(module: str) -> bool:
    """Whether a module is installed, as far as that can be found out without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # a missing parent; a module that is hidden in sys.modules
        return False
    except ValueError:  # a module that was not found by the import system, such as __main__
        return sys.modules.get(module) is not None


def install(extra: str) -> str:
    """The command that installs an extra, or a package that is not one of bmx's."""
    return f"pip install 'bmx[{extra}]'" if extra in EXTRAS else f"pip install {extra}"


def extra_of(module: str) -> str:
    """The extra that installs a module, by the name of its package; empty if none does."""
    root = module.partition(".")[0]
    return next((extra for extra, modules in EXTRAS.items() if root in modules), "")


def missing(extra: str) -> list[str]:
    """The modules of an extra, or the one of another package, that are not installed."""
    return [module.rpartition(".")[2] for module in EXTRAS.get(extra, (extra,)) if not is_there(module)]


def need(extra: str, where: str, what: str = "", instead: str = "") -> None:
    """Checks that the packages of an extra are installed, without importing them.

    Args:
        extra: a key of ``EXTRAS``, or another package by its import name.
        where: the argument or key that requires them.
        what: the feature that needs them; empty if ``where`` is enough.
        instead: what can be done without them.

    Raises:
        UsageError: one is missing; names it and the command that installs it.
    """
    absent = missing(extra)
    if not absent:
        return
    named, verb = " and ".join(absent), "is" if len(absent) == 1 else "are"
    told = f"{what} needs {named}, which {verb} not installed" if what else f"{named} {verb} not installed"
    raise UsageError(told, where, f"{install(extra)}, or {instead}" if instead else install(extra))
