"""One fit in its own run directory: what train, distill and compress have in common."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from bmx.compression.method import Tuning
from bmx.compression.recipe import Step
from bmx.data.arrays import Arrays
from bmx.data.pipeline.input_stage import InputStage
from bmx.data.pipeline.prepare import DataSet
from bmx.distributed import launch
from bmx.engine import fit
from bmx.engine.device import use_cpu
from bmx.engine.display import Display, Silent, choose
from bmx.engine.estimate import slower_than_full
from bmx.engine.evaluation import Evaluation, evaluate
from bmx.engine.fit import Fit
from bmx.engine.mistakes import mistakes
from bmx.engine.predictor import load_model
from bmx.engine.prepare import Prepared
from bmx.engine.signals import StopRequest, watch_signals
from bmx.engine.tuner import settle
from bmx.errors import Interrupted, UsageError
from bmx.measure.cost import cost_of
from bmx.runs import confusion as confusions
from bmx.runs import result as results
from bmx.runs import slurm
from bmx.runs.directory import create, discard
from bmx.runs.recording import recorded
from bmx.runs.report import numbers, plots, summary
from bmx.runs.report.foot import FOOT
from bmx.tasks.fit import FitTask
from bmx.verbs.recording import fit_facts
from bmx.verbs.recording.chosen_words import in_sweep

log = logging.getLogger("bmx.train")


@dataclass(frozen=True)
class Start:
    """What a fit begins with.

    Attributes:
        net: the model, on the CPU.
        recipe: what compression did to the architecture that the configuration builds.
        tuning: what has to hold after each step.
        make_task: takes the arguments of :class:`FitTask`.
    """

    net: nn.Module
    recipe: Sequence[Step] = ()
    tuning: Tuning | None = None
    make_task: Callable[..., FitTask] = FitTask


@dataclass(frozen=True)
class FitJob:
    """How the run of a verb differs from plain training.

    Attributes:
        verb: names the run directory's folder.
        start: makes what the fit begins with; may write into the run directory.
        parent: the run or file that the model comes from.
        facts: more to keep in result.json from the start.
        finish: gives best.ckpt its final form before it is tested.
        conclude: adds to the result, and draws, once the model is tested: (result so far, run directory, its test).
        show: prints the end.
        split: what the fitted model is measured on: test, or val for a trial that must not look at the test set.
        validates: measure the final model on the validation set too; else what its epoch had there counts.
    """

    verb: str
    start: Callable[[Prepared, Path], Start]
    parent: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    finish: Callable[[Path], None] = lambda run_dir: None
    conclude: Callable[[dict[str, Any], Path, Evaluation], dict[str, Any]] = lambda result, run_dir, tested: {}
    show: Callable[[dict[str, Any], Path], None] = summary.show
    split: str = "test"
    validates: bool = False


def fit_and_test(
    prepared: Prepared,
    job: FitJob,
    run_dir: Path | None = None,
    quiet: bool = False,
    fits: bool = True,
) -> dict[str, Any]:
    """Fits a model, tests its best checkpoint, and returns the result, which is also in result.json.

    Args:
        prepared: the checked configuration.
        job: what the verb adds.
        run_dir: the run directory; made under ``cfg.outputs`` if None.
        quiet: print nothing.
        fits: whether there is training; without it what ``job.start`` gives is tested as it is.

    Raises:
        RunFailed: training could not go on; result.json says ``failed``.
    """
    cfg = prepared.cfg
    ranks = prepared.device.ranks.count
    threads = use_cpu(cfg.trainer.threads, ranks)
    name = str(cfg.name or "run")
    run_dir = run_dir or create(Path(cfg.outputs), job.verb, name)
    display = Silent() if quiet else choose()
    told = [*(prepared.resumed.told if prepared.resumed else ()), *job.facts.get("changes", [])]
    facts = {**fit_facts.run_facts(prepared, threads), "parent": job.parent, **job.facts, "changes": told}
    with (
        contextlib.suppress(Interrupted, KeyboardInterrupt),
        recorded(run_dir, job.verb, name, **facts) as run,
        watch_signals() as stop,
        _stopping(display),
        contextlib.ExitStack() as others,
    ):
        run.postscript = lambda: f"; {slurm.requeue()}" if stop.requeued else ""
        slurm.remember(Path(cfg.outputs), run_dir)
        began, fitting = time.perf_counter(), None
        run.so_far = lambda: fit_facts.so_far(fitting, began)
        if ranks > 1:
            run.keep(cfg)
            others.enter_context(launch.started(job.verb, run_dir, ranks, threads))
        with _leaving_nothing(prepared, run_dir):
            start = job.start(prepared, run_dir)
        net = start.net
        prepared, found = settle(prepared, net, start.make_task)
        if found:
            cfg = prepared.cfg
            results.write(run_dir, {**results.read(run_dir), "found": found})
        run.keep(cfg)
        cost = cost_of(net, InputStage(prepared.data.spec)(prepared.example()))
        slower = slower_than_full(prepared, net, start.make_task) if fits and not quiet else None
        if cfg.compile:
            net.compile()
        if fits:
            parts = (start.make_task, start.recipe, start.tuning)
            with _leaving_nothing(prepared, run_dir):
                fitting = fit.build(prepared, net, run_dir, display, stop, *parts)
            fitting.watch.began = began
            steps = prepared.timeline.steps_per_epoch
            display.start(fit_facts.title(prepared, cost, run_dir, threads), int(cfg.epochs), steps)
            if slower is not None:
                display.note(f"{prepared.device.precision} is {slower}")
            stop.deferred = True
            fitting.run()
            stop.deferred = False
            others.close()
            _tell_early(fitting, int(cfg.epochs), display)
        else:
            fit.save_unfitted(prepared, net, run_dir, start.recipe)
        fitted = fit_facts.seconds_so_far(fitting, began)
        display.stop()
        FOOT.say("measuring the best checkpoint")
        job.finish(run_dir)
        tested = measure_best(prepared, run_dir, job.split)
        outcome = fit_facts.outcome_of(fitting, cost, (job.split, tested), fitted, began)
        outcome["test"] = confusions.keep(run_dir, tested.confusion, fit_facts.class_labels(prepared.data.spec))
        if job.validates and job.split == "test" and prepared.data.val is not None:
            fit_facts.revalidate(outcome, measure_best(prepared, run_dir, "val"))
        elif prepared.measures and job.split == "test" and prepared.data.val is not None:
            found_there = measure_best(prepared, run_dir, "val").metrics
            outcome["metrics"] |= {f"val/{metric.name}": found_there[metric.name] for metric in prepared.measures}
        run.outcome = outcome | job.conclude(outcome, run_dir, tested)
    result = run.result
    if result["status"] == "done" and cfg.plots:
        FOOT.say("drawing the plots")
        worst, count = mistakes(tested, part_of(prepared.data, job.split), prepared.data.spec)
        plots.draw(run_dir, result, worst, prepared.data.spec.form.samples, job.split, count)
    if not quiet:
        job.show(result, run_dir)
    return result


def fit_beside(prepared: Prepared, job: FitJob, run_dir: Path) -> None:
    """Fits a model as one of several ranks that is not rank 0: nothing is written and nothing tested."""
    use_cpu(prepared.cfg.trainer.threads, prepared.device.ranks.count)
    start = job.start(prepared, run_dir)
    if prepared.cfg.compile:
        start.net.compile()
    parts = (start.make_task, start.recipe, start.tuning)
    fit.build(prepared, start.net, run_dir, Silent(), StopRequest(), *parts).run()


@contextlib.contextmanager
def _leaving_nothing(prepared: Prepared, run_dir: Path) -> Iterator[None]:
    """A run that turns out to be a wrong command before its first step leaves no directory behind."""
    try:
        yield
    except UsageError:
        if not prepared.cfg.resume and not in_sweep(run_dir):
            discard(run_dir)
        raise


@contextlib.contextmanager
def _stopping(display: Display) -> Iterator[None]:
    """The display ends before anything is said of how the run did."""
    try:
        yield
    finally:
        display.stop()


def measure_best(prepared: Prepared, run_dir: Path, split: str = "test") -> Evaluation:
    """Measures the best checkpoint, as it is on disk; the test set is used at the end of a run and nowhere else."""
    model = load_model(fit.best_file(run_dir)).to(prepared.device.where)
    return evaluate(model, part_of(prepared.data, split), prepared.data.spec, prepared.device, more=prepared.measures)


def part_of(data: DataSet, split: str) -> Arrays:
    """The test or the validation set.

    Raises:
        UsageError: nothing was held out.
    """
    part = data.test if split == "test" else data.val
    if part is None:
        fix = "use split=test, or a run that was trained with data.val_size=0.1"
        raise UsageError("there is no validation set to choose by", "data.val_size=0", fix)
    return part


def _tell_early(fitting: Fit, epochs: int, display: Display) -> None:
    for ended in fit_facts.ended_early(fitting, epochs).values():
        text = f"ended after {ended['after']} of {numbers.counted(epochs, 'epoch')}: {ended['reason']}"
        log.info(text)
        display.note(text)
