"""bmx.load: the model of a run, ready to use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bmx.engine.predictor import Predictor
from bmx.engine.warm_start import model_file
from bmx.export.reading import load_predictor
from bmx.targets.standing import trusting


def load(
    run: str | Path = "latest", outputs: str | Path = "outputs", trust: str | Sequence[str] | None = None
) -> Predictor:
    """The best model of a run, in eval mode on the CPU: raw samples in, logits out.

    Args:
        run: ``latest``, a run directory, a run id, or a model file; packed ones and .safetensors too.
        outputs: the folder that holds the run directories.
        trust: modules that the run may take its model from, besides bmx, torch, torchvision and those in the current
            folder: ``my_net``, or a list.

    Raises:
        UsageError: there is no such run, it has no model, or its model is of a module that is not trusted.
    """
    with trusting(trust):
        return load_predictor(model_file(str(run), Path(outputs)))
