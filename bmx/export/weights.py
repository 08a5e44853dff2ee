"""Named tensors of a predictor for weight files, and the predictor rebuilt from them and a description."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from bmx.compression.rebuild import rebuild
from bmx.engine.build import make_model
from bmx.engine.predictor import Predictor, lay_out
from bmx.engine.trust_check import judged
from bmx.errors import UsageError
from bmx.export.description import BESIDE, INSIDE, Description


def tensors_of(predictor: Predictor, description: Description) -> dict[str, Tensor]:
    """The tensors of a predictor as a file stores them: copies on the CPU.

    ``preprocessing=inside`` stores its statistics as tensors, ``input_stage.*``; ``beside`` leaves them to the
    description. Those of regression targets, ``output_stage.*``, are treated likewise.
    Shared tensors are stored once for each name.
    """
    return {
        name: tensor.detach().cpu().clone().contiguous()
        for name, tensor in predictor.state_dict().items()
        if description.preprocessing == INSIDE or name.startswith("net.")
    }


def built(description: Description, tensors: Mapping[str, Tensor], path: Path) -> Predictor:
    """Rebuilds the predictor of a file that holds :func:`tensors_of`, in eval mode on the CPU.

    Args:
        description: metadata of the file; its model class is trust-checked before it is imported.
        tensors: by name.
        path: the file.

    Raises:
        UsageError: the tensors do not match the model, or its class is in a module that is not trusted.
    """
    net = make_model(judged(description.config.model, "model", path), description.spec)
    net = rebuild(net, description.recipe, path)
    stage = description.input_stage()
    units = description.output_stage()
    predictor = Predictor(net, stage, description.spec, description.config, description.recipe, units)
    floating = next((t for t in tensors.values() if t.is_floating_point()), None)
    if floating is not None:
        predictor.to(floating.dtype)
    missing, unexpected = predictor.load_state_dict(dict(tensors), strict=False)
    # The description holds the statistics too; those of regression targets are tensors only in newer files.
    held = ("input_stage.", "output_stage.") if description.preprocessing == BESIDE else ("output_stage.",)
    wrong = [name for name in [*missing, *unexpected] if not name.startswith(held)]
    if wrong:
        raise UsageError(
            f"the tensors are of another model: {wrong[0]}", str(path), "export it again with `bmx export`"
        )
    lay_out(net, description.config, description.spec)
    return predictor.eval()
