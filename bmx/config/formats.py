"""Registry of export formats, discovered from modules.

Formats are discovered, as verbs are: each module of bmx's package of formats describes one by its ``FORMAT``, and so
does each module of a namespace package ``bmx_formats``, for formats of other packages. The name of the module is the
name of the format. Formats are no config group in ``conf/``: a file is read by its suffix, with no option to choose,
and ``format`` stays the plain string that earlier configurations hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from bmx.config.plugins import modules
from bmx.errors import UsageError

_TAKEN = {".ckpt": "checkpoints", ".json": "descriptions beside exports"}


class Engine(NamedTuple):
    """A way to run a model by converting it to a format."""

    make: str
    """``module:function``, called as ``f(net, example, device, folder, calibration) -> Computed``, which are those of
    ``make`` in the module of engines."""
    help: str = ""
    """Its runtime, in a few words."""
    calibrated: bool = False
    """Whether it calibrates on real inputs first."""


class Format(NamedTuple):
    """A format of ``bmx export``; imports nothing heavy until a model is written or read."""

    place: int
    """Position in lists."""
    suffix: str
    """File suffix: ``.onnx``."""
    help: str
    """Which programs read it, in a few words."""
    write: str
    """``module:function``, called as ``f(predictor, description, path)``; it leaves both as they are."""
    read: str
    """``module:function``, called as ``f(path) -> (model, description)``: a module in eval mode on the CPU that takes
    raw samples. Every export is read back and compared. It executes no code from the file."""
    of_weights: bool = False
    """Whether a file holds weights for a model that bmx builds again, a predictor, and not a finished graph."""
    extra: str = ""
    """The extra of bmx that it needs, or another package by its import name."""
    check: str = ""
    """``module:function``, called as ``f(compared, predictor, path, arrays, tolerance, target) -> what the file needs
    of a processor, or None``, which raises RunFailed where the file is not the same model. Empty for no difference
    beyond the tolerance."""
    idle: Mapping[str, tuple[str, str]] = MappingProxyType({})
    """Options of ``bmx export`` that it ignores: the reason, and the overrides that would give them an effect."""
    engines: Mapping[str, Engine] = MappingProxyType({})
    """Options of ``engines=`` that run a model through it."""
    own_size: bool = False
    """Whether the model size is that of its file, rather than of its weights as torch saves them."""
    also: tuple[str, ...] = ()
    """Its names in other programs."""


def formats() -> Mapping[str, Format]:
    """Every format by its name.

    Raises:
        UsageError: a module of ``bmx_formats`` cannot be imported, or its suffix conflicts with another format's.
    """
    return _found()


def format_of(file: str | Path) -> str:
    """The format of a file by its suffix; empty for none, as a checkpoint's."""
    name = Path(file).name
    fitting = [word for word, row in formats().items() if name.endswith(row.suffix)]
    return max(fitting, key=lambda word: len(formats()[word].suffix), default="")


@cache
def _found() -> Mapping[str, Format]:
    found: dict[str, Format] = {}
    for module in modules("export.formats", "bmx_formats", "format"):
        name, row = module.__name__.rpartition(".")[2], getattr(module, "FORMAT", None)
        if not isinstance(row, Format) or name in found:
            continue
        taken = {**_TAKEN, **{other.suffix: f"{word} files" for word, other in found.items()}}
        if row.suffix in taken or not row.suffix.startswith("."):
            what = f"the files of the format '{name}' cannot end in '{row.suffix}'"
            other = f", as {taken[row.suffix]} do" if row.suffix in taken else ""
            raise UsageError(what + other, module.__name__, "give it a suffix of its own, such as .mine")
        found[name] = row
    return MappingProxyType(dict(sorted(found.items(), key=lambda item: item[1].place)))
