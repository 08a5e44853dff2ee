"""Loads the trained model of a run for inference: :func:`bmx.load`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from bmx.engine.predictor import Predictor
from bmx.engine.warm_start import model_file
from bmx.export.reading import Loaded, load_predictor
from bmx.targets.standing import trusting
from bmx.verbs.recording.run_data import what_changed


def load(
    run: str | Path = "latest", outputs: str | Path = "outputs", trust: str | Sequence[str] | None = None
) -> Predictor:
    """Loads the best model of a run, in eval mode on the CPU: raw samples in, logits out.

    Warns where the user's code that it is built from, or torch, has changed since the run was made.

    Args:
        run: ``latest``, a run directory, a run id, or a model file; exported ones that hold weights too.
        outputs: the folder that holds the run directories.
        trust: modules that the run's model class may come from, besides bmx, torch, torchvision and those in the
            current folder: ``my_net``, or a list.

    Raises:
        UsageError: there is no such run, it has no model, or its model class is in a module that is not trusted.
    """
    with trusting(trust):
        file = model_file(str(run), Path(outputs))
        predictor = load_predictor(file)
        changed = what_changed(Loaded(predictor, predictor.spec, predictor.config, file))
    for line in changed:
        warnings.warn(f"{run}: {line}", stacklevel=3)
    return predictor
