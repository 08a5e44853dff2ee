"""How a compressed model is built again: from the model it was, and a list of plain steps.

A model file holds no pickled module. It holds the configuration that builds the original, and the recipe: what each
compression did to the architecture (ranks, channels, bit widths). Weights are loaded into what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from torch import nn

from bmx.errors import UsageError

Step = dict[str, Any]
"""One change of an architecture: ``kind`` and whatever that kind needs, in plain containers."""

# Kind of step: the function (net, step) -> net that repeats it on a model with any weights.
_KINDS: dict[str, str] = {
    "low_rank": "bmx.compression.low_rank.factored:rebuild",
    "attention": "bmx.compression.prune_structured.separate_attention:rebuild",
    "channels": "bmx.compression.prune_structured.rebuild:rebuild",
    "quantize": "bmx.compression.quantize.rebuild:rebuild",
}


def rebuild(net: nn.Module, recipe: Sequence[Step]) -> nn.Module:
    """The architecture that ``recipe`` makes of ``net``, which is changed in place; its weights mean nothing yet.

    Args:
        net: the model as its configuration builds it; may be on the meta device.
        recipe: the steps, in the order they were made.

    Raises:
        UsageError: a kind of step that this version does not know.
    """
    for step in recipe:
        target = _KINDS.get(str(step.get("kind")))
        if target is None:
            fix = "use the version of bmx that wrote the file, or a newer one"
            raise UsageError(f"a model with an unknown compression {step.get('kind')!r}", "the model file", fix)
        module, _, name = target.partition(":")
        net = getattr(import_module(module), name)(net, step)
    return net
