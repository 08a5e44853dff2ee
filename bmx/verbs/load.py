"""bmx.load: the model of a run, ready to use."""

from __future__ import annotations

from pathlib import Path

from bmx.engine.predictor import Predictor
from bmx.engine.warm_start import model_file
from bmx.export.reading import load_predictor


def load(run: str | Path = "latest", outputs: str | Path = "outputs") -> Predictor:
    """The best model of a run, in eval mode on the CPU: raw samples in, logits out.

    Args:
        run: ``latest``, a run directory, a run id, or a model file; packed ones and .safetensors too.
        outputs: the folder that holds the run directories.

    Raises:
        UsageError: there is no such run, or it has no model.
    """
    return load_predictor(model_file(str(run), Path(outputs)))
