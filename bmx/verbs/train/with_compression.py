"""bmx train compression=METHOD: compression after the training or during it, in one command."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, open_dict

from bmx.data.pipeline.input_stage import InputStage
from bmx.engine import fit
from bmx.engine.build import make_method
from bmx.engine.callbacks import check_tuned, make_callbacks
from bmx.engine.evaluation import Evaluation
from bmx.engine.predictor import Predictor
from bmx.engine.prepare import Prepared
from bmx.errors import UsageError
from bmx.export.reading import load
from bmx.runs.directory import create
from bmx.verbs.compress.compression_run import Compressing
from bmx.verbs.compress.pipeline import is_pipeline
from bmx.verbs.compress.target import NO_TARGET
from bmx.verbs.recording.fit_run import FitJob, Start, fit_and_test

AFTER, DURING = "after", "during"

# Settings that `bmx compress` has and `bmx train` lacks, with their defaults there.
_COMPRESS = {
    "target": NO_TARGET,
    "stages": ["prune_structured", "low_rank", "quantize"],
    "engines": ["eager", "onnx"],
    "batch_sizes": [1, 256],
    "seconds": 0.5,
    "distillation": None,
    "teacher": None,
    "keep_outputs": True,
}


def check_compression(cfg: DictConfig) -> None:
    """Checks ``compression=`` of a training.

    Raises:
        UsageError: fields that the method does not have, or a method that cannot compress while training.
    """
    when = str(cfg.compress_when)
    if is_pipeline(cfg):
        fix = "train first, then `bmx compress run=latest compression=pipeline`"
        raise UsageError("a pipeline starts from a trained run", "compression=pipeline", fix)
    method = make_method(cfg.compression)
    if when == DURING and not getattr(method, "while_training", False):
        fix = "use compress_when=after"
        raise UsageError("this compression has no schedule to follow while training", "compress_when=during", fix)
    if when == DURING and cfg.init_from:
        fix = "use `bmx compress run=...`, or leave init_from= out"
        raise UsageError("a trained model is compressed, not trained again", "compress_when=during", fix)
    if when == DURING:
        check_tuned(make_callbacks(cfg.trainer.callbacks), method, "")
    elif cfg.tuning_epochs != 0:
        check_tuned(make_callbacks(cfg.trainer.callbacks), method, ", or use tuning_epochs=0")


# Settings of a training that a compression lacks.
_TRAINING = ("init_from", "compress_when", "tuning_epochs", "plan", "devices", "model")


def compress_trained(cfg: DictConfig, run_dir: Path, quiet: bool) -> str:
    """Compresses the model that was trained in ``run_dir``, with its optimiser and schedule; returns the new run."""
    from bmx.verbs.compress.command import compress

    second = copy.deepcopy(cfg)
    with open_dict(second):
        for key, value in _COMPRESS.items():
            second[key] = value
        second.run = str(run_dir)
        second.epochs = cfg.tuning_epochs
        second.resume = None
        for key in _TRAINING:
            second.pop(key, None)
        second.name = f"{cfg.name}-compressed"
    where = create(Path(cfg.outputs), "compress", str(second.name))
    compress(second, where, quiet)
    return str(where)


def train_compressed(prepared: Prepared, run_dir: Path | None, quiet: bool) -> dict[str, Any]:
    """Trains a model with compression during training."""
    work: list[Compressing] = []

    def begin(prepared: Prepared, run_dir: Path) -> Start:
        net = fit.build_net(prepared)
        stage = InputStage.fitted(prepared.data.spec, prepared.data.train)
        model = Predictor(net, stage, prepared.data.spec, prepared.cfg, output_stage=prepared.units())
        work.append(Compressing(model, int(prepared.cfg.epochs)))
        return work[0].start(prepared, run_dir)

    def cost(result: dict[str, Any], run_dir: Path, tested: Evaluation) -> dict[str, Any]:
        return {"cost": load(fit.best_file(run_dir)).cost().to_dict()}

    job = FitJob("train", begin, finish=lambda run_dir: work[0].finish(run_dir), conclude=cost)
    return fit_and_test(prepared, job, run_dir, quiet)
