"""What a compression method may look at: calibration samples, the loss, the validation score."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from bmx.compression.method import Context
from bmx.data.pipeline.prepare import DataSet
from bmx.engine import random_state
from bmx.engine.build import make_model
from bmx.engine.device import Device
from bmx.engine.evaluation import evaluate
from bmx.engine.predictor import Predictor
from bmx.engine.prepare import Prepared
from bmx.errors import UsageError
from bmx.tasks.losses import objective_for

_BATCH = 100


def context_for(prepared: Prepared, model: Predictor) -> Context:
    """What a compression method may look at: training samples to calibrate with, the loss, the validation score."""
    data, spec = prepared.data, prepared.data.spec
    objective = objective_for(spec)
    stage, units = model.input_stage, model.output_stage
    cpu = Device(torch.device("cpu"), "32-true")

    def score(net: nn.Module) -> float:
        if data.val is None:
            fix = "train the run with data.val_size=0.1, or choose a method that does not measure"
            raise UsageError("this needs a validation set, and the run held nothing out", "data.val_size=0", fix)
        was = net.training
        net.eval()
        metrics = evaluate(lambda raw: units(net(stage(raw))), data.val, spec, cpu).metrics
        net.train(was)
        value = metrics[objective.scored.name] * (100 if objective.scored.percent else 1)
        return value if objective.scored.higher_is_better else -value

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return objective.loss(outputs, units.standardised(targets))

    with torch.inference_mode():
        example = stage(prepared.example())
    return Context(spec, example.clone(), _calibration(data, stage, int(prepared.cfg.seed)), loss, score,
                   int(prepared.cfg.seed), _initial(model))  # fmt: skip


def _initial(model: Predictor) -> Callable[[], nn.Module] | None:
    """Makes the net that the training of ``model`` began with, from its seed; None if it began with other weights."""
    began_elsewhere = ("init_from", "compression", "teacher")
    if model.recipe or any(OmegaConf.select(model.config, key) is not None for key in began_elsewhere):
        return None

    def make() -> nn.Module:
        random_state.seed_everything(int(model.config.seed))
        return make_model(model.config.model, model.spec)

    return make


def _calibration(data: DataSet, stage: nn.Module, seed: int) -> Callable[[int], Iterator[tuple[Tensor, Tensor]]]:
    """Training samples drawn without replacement, the same ones each time; never validation or test samples."""

    def samples(n: int) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(data.train), generator=generator)[:n]
        for part in chosen.split(_BATCH):
            inputs, targets = data.train.batch(part)
            with torch.no_grad():
                staged = stage(inputs)
            yield staged, targets

    return samples
