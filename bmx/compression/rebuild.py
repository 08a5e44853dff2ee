"""Builds the architecture of a compressed model again, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from bmx.compression.recipe import Step
from bmx.errors import UsageError


def rebuild(net: nn.Module, recipe: Sequence[Step]) -> nn.Module:
    """The architecture that ``recipe`` makes of ``net``, which is changed in place; its weights mean nothing yet.

    Args:
        net: the model as its configuration builds it; may be on the meta device.
        recipe: the steps, in the order they were made.

    Raises:
        UsageError: a kind of step that this version does not know.
    """
    for step in recipe:
        repeat = _kinds().get(str(step.get("kind")))
        if repeat is None:
            fix = "use the version of bmx that wrote the file, or a newer one"
            raise UsageError(f"a model with an unknown compression {step.get('kind')!r}", "the model file", fix)
        net = repeat(net, step)
    return net


def _kinds() -> dict[str, Callable[[nn.Module, Step], nn.Module]]:
    """What repeats each kind of step on a model with any weights; imported once a model has one."""
    from bmx.compression.low_rank import factored
    from bmx.compression.prune_structured import rebuild as channels
    from bmx.compression.prune_structured import separate_attention
    from bmx.compression.quantize import rebuild as quantized

    return {
        "low_rank": factored.rebuild,
        "attention": separate_attention.rebuild,
        "channels": channels.rebuild,
        "quantize": quantized.rebuild,
    }
