"""Rejects overrides of Hydra settings that bmx relies on."""

from __future__ import annotations

from collections.abc import Iterable

from bmx.config import override_grammar
from bmx.errors import UsageError

# The directory of a run or sweep, and bmx's own checks, which create it before Hydra writes into it.
_PLACES = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
_NODES = ("hydra", "hydra.run", "hydra.sweep", "hydra.job", "hydra.runtime", "hydra.callbacks", "hydra.callbacks.bmx")
_OWN = "hydra.callbacks.bmx"


def refuse_broken(words: Iterable[str]) -> None:
    """Raises UsageError for the first override that would disable the checks or the directory.

    ``hydra.output_subdir=null`` is accepted: a run without Hydra's records resumes from its own configuration.
    """
    for word in words:
        taken = override_grammar.taken_apart(word)
        key = taken.key.partition("@")[0]
        gone = taken.sign == "~" or taken.is_null
        if key in _PLACES and gone:
            fix = f"leave it out, or name a directory: {key}=here"
            raise UsageError(f"{key} says where to write, and cannot be left empty", f"the argument '{word}'", fix)
        if (key in _NODES and (gone or key in ("hydra", "hydra.callbacks"))) or key.startswith(f"{_OWN}."):
            fix = "leave it out; callbacks of your own are added: +hydra.callbacks.mine._target_=..."
            raise UsageError(f"bmx cannot do without its {key}", f"the argument '{word}'", fix)
