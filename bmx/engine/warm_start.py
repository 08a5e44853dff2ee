"""Warm start: loads the weights of an earlier run as the initial weights of a new one."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from bmx.data.pipeline.output_stage import OutputStage
from bmx.data.spec import DataSpec
from bmx.engine.predictor import read_model
from bmx.errors import UsageError
from bmx.runs.best_job import tell
from bmx.runs.finding import find, is_there


def model_file(run: str, outputs: Path) -> Path:
    """Resolves ``latest``, a run directory, a run id or a file to a model file."""
    path = Path(run)
    if is_there(path) and path.is_file():
        return path
    found = find(run, outputs, tell=tell)
    file = found / "checkpoints" / "best.ckpt"
    if not file.exists():
        raise UsageError("this run has no model yet", str(found), "finish it first: bmx train resume=" + found.name)
    return file


def units_of(spec: DataSpec, run: str, outputs: Path) -> OutputStage | None:
    """The output stage of a run's model, which converts to the units of the targets; None for a classifier.

    Args:
        spec: of the data that its weights will be fitted to.
        run: see :func:`model_file`.
        outputs: folder of runs.
    """
    file = model_file(run, outputs)
    content = read_model(file)
    stage = OutputStage(spec)
    if stage.scale is None or DataSpec.of_file(content["spec"], file).task != spec.task:
        return None
    known = stage.completed(content["state_dict"])
    stage.load_state_dict({name: known[f"output_stage.{name}"] for name in stage.state_dict()})
    return stage


def weights_for(net: nn.Module, run: str, outputs: Path) -> dict[str, Tensor]:
    """The weights of a run, as a state dict for ``net``.

    Raises:
        UsageError: there is no such run, or its tensors do not match those of ``net``.
    """
    content = read_model(model_file(run, outputs))["state_dict"]
    weights = {name.removeprefix("net."): t for name, t in content.items() if name.startswith("net.")}
    mine = net.state_dict()
    for name in [*mine, *weights]:
        there, here = weights.get(name), mine.get(name)
        if there is None or here is None or there.shape != here.shape:
            shapes = [("none" if t is None else "×".join(map(str, t.shape))) for t in (there, here)]
            raise UsageError(
                f"the weights are of another model: {name} is {shapes[0]} there and {shapes[1]} here",
                f"init_from={run}",
                "choose the same model= and the same number of classes",
            )
    return weights
