"""The compression of one run: applied at its start, taken up where it is resumed, finished before the test."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from torch import nn

from bmx.compression import earlier_stages
from bmx.compression.low_rank.sensitivity import layer_sensitivity
from bmx.compression.method import Context, Method, Outcome
from bmx.compression.recipe import Step
from bmx.engine import random_state
from bmx.engine.build import make_method
from bmx.engine.fit import best_file
from bmx.engine.predictor import Predictor, load_model, read_model, save_model
from bmx.engine.prepare import Prepared
from bmx.engine.saved_check import CHECKED, check_saved
from bmx.engine.warm_start import model_file
from bmx.errors import RunFailed, UsageError
from bmx.export.reading import load_predictor
from bmx.tasks.distill import DistillTask
from bmx.tasks.fit import FitTask
from bmx.verbs.compress.comparison import Change
from bmx.verbs.compress.context import context_for
from bmx.verbs.compress.parent import COMPRESSED
from bmx.verbs.distill.setup import make_lesson
from bmx.verbs.recording.fit_run import Start


class Compressing:
    """One compression: made once, at the start of the run, and kept until its end.

    Args:
        original: the model to begin with.
        epochs: of fine-tuning.
    """

    def __init__(self, original: Predictor, epochs: int) -> None:
        self.original = original
        self.epochs = epochs
        self.outcome: Outcome | None = None
        self.context: Context | None = None
        self.prepared: Prepared | None = None

    @property
    def change(self) -> Change:
        """What was done."""
        assert self.outcome is not None
        return Change(self.outcome.layers, self.outcome.facts, self.epochs)

    def start(self, prepared: Prepared, run_dir: Path) -> Start:
        """Compresses the parent's model and keeps what comes out; takes up what was kept if the run is resumed."""
        cfg = prepared.cfg
        random_state.seed_everything(int(cfg.seed))
        self.prepared = prepared
        self.context = context_for(prepared, self.original)
        method = make_method(cfg.compression)
        self.outcome = outcome = self._compressed(method)
        if OmegaConf.select(cfg, "sensitivity"):
            rows = layer_sensitivity(copy.deepcopy(self.original.net).eval(), self.context)
            self.outcome = outcome = replace(outcome, facts={**outcome.facts, "sensitivity": rows})
        recipe = [*self.original.recipe, *outcome.recipe]
        file = run_dir / "checkpoints" / COMPRESSED
        if file.exists():
            self._take_up(file, recipe)
        else:
            file.parent.mkdir(exist_ok=True)
            self._save(file, outcome.net, prepared, OmegaConf.to_yaml(cfg, resolve=True), recipe)
        random_state.seed_everything(int(cfg.seed))
        # What an earlier compression pruned stays pruned, whatever is done to the model now.
        tuning = earlier_stages.holding(outcome.net, outcome.tuning)
        return Start(outcome.net, recipe, tuning, self._task(prepared, outcome.net))

    def _compressed(self, method: Method) -> Outcome:
        assert self.context is not None
        try:
            return method(copy.deepcopy(self.original.net).eval(), self.context)
        except UsageError as error:
            if not any(step.get("kind") == "quantize" for step in self.original.recipe):
                raise
            fix = "compress the run that it was quantised from: rounding to few bits comes last"
            raise UsageError(f"{error.what}; this model is quantised already", error.where, fix) from error

    def _task(self, prepared: Prepared, net: nn.Module) -> Callable[..., FitTask]:
        """Plain fitting, or learning from the original as well."""
        cfg = prepared.cfg
        if OmegaConf.select(cfg, "distillation") is None:
            return FitTask
        teacher = OmegaConf.select(cfg, "teacher")
        file = model_file(str(teacher), Path(cfg.outputs)) if teacher else None
        original = load_predictor(file) if file else copy.deepcopy(self.original)
        return partial(DistillTask, lesson=make_lesson(prepared, net, [original]))

    def _take_up(self, file: Path, recipe: list[Step]) -> None:
        """Goes on with the weights that the stopped run began with.

        Raises:
            RunFailed: the method makes another architecture now; a budget in milliseconds can do that.
        """
        assert self.outcome is not None
        kept = read_model(file)
        if kept.get("recipe", []) != recipe:
            if self.outcome.tuning is not None or self.outcome.finish is not None:
                raise RunFailed(
                    "the compression came out different from when the run was started",
                    str(file),
                    "start it again without resume=",
                )
            net = load_model(file).net
            self.outcome = replace(self.outcome, net=net, recipe=kept.get("recipe", [])[len(self.original.recipe) :])
            return
        weights = {k.removeprefix("net."): t for k, t in kept["state_dict"].items() if k.startswith("net.")}
        self.outcome.net.load_state_dict(weights)

    def finish(self, run_dir: Path) -> None:
        """Gives the best model its final form, where its method has one."""
        assert self.outcome is not None and self.context is not None and self.prepared is not None
        if self.outcome.finish is None:
            return
        file = best_file(run_dir)
        model = load_model(file)
        recipe = [*self.original.recipe, *self.outcome.recipe]
        if len(model.recipe) > len(recipe):
            return  # a run that was stopped after this
        final = self.outcome.finish(model.net, self.context)
        content = read_model(file)
        facts: dict[str, Any] = {
            name: content[name] for name in ("epoch", "step", "metrics", "origin") if name in content
        }
        self._save(file, final.net, self.prepared, content["config"], [*recipe, *final.recipe], facts)
        self.outcome = replace(
            self.outcome, layers=final.layers or self.outcome.layers, facts=self.outcome.facts | final.facts
        )

    def _save(
        self,
        file: Path,
        net: nn.Module,
        prepared: Prepared,
        config: str,
        recipe: list[Step],
        facts: dict[str, Any] | None = None,
    ) -> None:
        state = {f"net.{name}": t for name, t in net.state_dict().items()}
        for part in ("input_stage", "output_stage"):
            state |= {f"{part}.{name}": t for name, t in getattr(self.original, part).state_dict().items()}
        save_model(file, state, self.original.spec, config, facts or {"epoch": 0, "step": 0, "metrics": {}}, recipe)
        check_saved(file, net, self.original.input_stage, prepared.data.train.inputs[:CHECKED])
