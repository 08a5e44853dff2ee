"""The Optuna study of a search, in a file of the sweep's directory, shared by every process that works on it."""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from bmx.files.lock import HeldFile
from bmx.sweep.objective import Objective
from bmx.sweep.search.space import Dimension, Space
from bmx.sweep.workers.locks import alone, take_file

FILE = "study.db"
_LOCK = ".study.lock"
_OVER = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class Study:
    """An Optuna study with ask-and-tell interface, constraints, and recovery of trials from dead processes.

    A process that works on the study holds a lock for as long as it lives. Trials of a process whose lock is free
    were abandoned when it died: they are asked for again, with the same point, so that their jobs are resumed.

    Args:
        sweep: the sweep's directory.
        identity: the name of the study in the file.
        objectives: what to optimise.
        sampler: random, tpe, gp or nsga2.
        pruner: none, median or halving.
        seed: of the sampler.
        places: how many trials run at a time.
        trials: how many there will be; None for any number.
        first: initial points, as names and values of dimensions.
    """

    def __init__(
        self,
        sweep: Path,
        identity: str,
        objectives: Sequence[Objective],
        sampler: str,
        pruner: str = "none",
        seed: int | None = 0,
        places: int = 1,
        trials: int | None = None,
        first: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.sweep = sweep
        self.me = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._alive: HeldFile | None = take_file(self._life(self.me))
        with warnings.catch_warnings(), alone(sweep / _LOCK):
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{sweep.resolve() / FILE}", engine_kwargs={"connect_args": {"timeout": 60}}
            )
            self.study = optuna.create_study(
                storage=storage,
                study_name=identity,
                directions=["maximize" if one.higher else "minimize" for one in objectives],
                pruner=_pruner(pruner),
                load_if_exists=True,
            )
            entered = int(self.study.user_attrs.get("processes", 0))
            self.study.set_user_attr("processes", entered + 1)
            for point in first if not entered else ():
                self.study.enqueue_trial(dict(point), skip_if_exists=True)
            # The second process on a study, or the same one later, must not sample the first one's points again.
            drawn = None if seed is None else seed + entered
            self.study.sampler = _sampler(sampler, drawn, places, trials)
            self._take_up_what_was_left()

    def close(self) -> None:
        """Leaves the study and releases its lock."""
        if self._alive is not None:
            self._life(self.me).unlink(missing_ok=True)
            self._alive.release()
            self._alive = None

    def ask(self, space: Space, most: int | None) -> tuple[Trial, dict[str, str]] | None:
        """A trial and its point; None once ``most`` trials have ended or are running."""
        with alone(self.sweep / _LOCK), warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._take_up_what_was_left()
            if most is not None and self.counted() >= most:
                return None
            trial = self.study.ask()
            trial.set_user_attr("process", self.me)
            point: dict[str, str] = {}
            for one in space.dimensions:
                point[one.key] = suggest(trial, one)
            for one in space.brought_along(point):
                point[one.key] = suggest(trial, one)
            return trial, point

    def counted(self) -> int:
        """The number of ended or running trials, without repeated points and configurations that cannot run."""
        states = (*_OVER, TrialState.RUNNING)
        trials = self.study.get_trials(deepcopy=False, states=states)
        return sum(not trial.user_attrs.get("uncounted") for trial in trials)

    def known(self) -> list[FrozenTrial]:
        """Every ended trial, including those that a process left when it died."""
        return self.study.get_trials(deepcopy=False, states=_OVER)

    def told(self) -> list[FrozenTrial]:
        """The ended trials whose outcome was reported."""
        return [trial for trial in self.known() if not trial.user_attrs.get("left")]

    def tell(self, trial: Trial, values: Sequence[float] | None, state: str = "done") -> None:
        """Reports the outcome of a trial.

        Args:
            trial: as returned by ``ask``.
            values: of each objective; None if there are none.
            state: done, pruned, failed, or ``refused`` if its configuration cannot run.
        """
        if state == "refused":
            trial.set_user_attr("uncounted", True)
        if values is not None:
            self.study.tell(trial, list(values))
        elif state in ("pruned", "refused") and len(self.study.directions) == 1:
            # A sampler avoids the region of pruned trials; from failed trials it learns nothing.
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, state=TrialState.FAIL)

    def bound(self, trial: Trial, excesses: Mapping[str, float]) -> None:
        """Reports a trial's constraint violations, before its values; 0 or less where a constraint is satisfied."""
        for name, excess in excesses.items():
            trial.set_constraint(name, excess)

    def repeated(self, trial: Trial, values: Sequence[float] | None) -> None:
        """Reports a trial at the point of an earlier one, with that one's values."""
        trial.set_user_attr("uncounted", True)
        self.tell(trial, values, "failed")

    def report(self, trial: Trial, rows: Sequence[Mapping[str, Any]], name: str, seen: int) -> bool:
        """Reports the epochs of a job after ``seen``; whether the trial should be pruned."""
        for row in rows:
            if int(row["epoch"]) > seen and isinstance(row.get(name), int | float):
                trial.report(float(row[name]), int(row["epoch"]))
        return bool(trial.should_prune())

    def importances(self) -> dict[str, float]:
        """Parameter importances by key; empty where there are too few trials."""
        done = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(self.study.directions) > 1 or len(done) < 8:
            return {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = optuna.importance.get_param_importances(self.study)
        except Exception:  # all values equal, or a space in which every key is conditional
            return {}
        return {name: float(share) for name, share in found.items()}

    def _take_up_what_was_left(self) -> None:
        for left in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            process = left.user_attrs.get("process")
            if process == self.me or (process and not self._has_died(str(process))):
                continue
            storage = self.study._storage
            storage.set_trial_user_attr(left._trial_id, "uncounted", True)
            storage.set_trial_user_attr(left._trial_id, "left", True)
            self.study.tell(left.number, state=TrialState.FAIL)
            if left.params:
                self.study.enqueue_trial(left.params)

    def _has_died(self, process: str) -> bool:
        path = self._life(process)
        if not path.exists():
            return True
        claim = take_file(path)
        if claim is None:
            return False
        path.unlink(missing_ok=True)
        claim.release()
        return True

    def _life(self, process: str) -> Path:
        return self.sweep / f".process-{process}"


def suggest(trial: Trial, one: Dimension) -> str:
    """Samples a value of a dimension, as text."""
    if one.choices:
        return str(trial.suggest_categorical(one.name, one.choices))
    if one.whole:
        step = 1 if one.log or one.step is None else int(one.step)
        return one.text(trial.suggest_int(one.name, int(one.low), int(one.high), step=step, log=one.log))
    if one.step is not None:
        return one.text(trial.suggest_float(one.name, one.low, one.high, step=one.step))
    return one.text(trial.suggest_float(one.name, one.low, one.high, log=one.log))


def _sampler(name: str, seed: int | None, places: int, trials: int | None) -> optuna.samplers.BaseSampler:
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if name == "gp":
        return optuna.samplers.GPSampler(seed=seed)
    if name == "nsga2":
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=16)
    # A short search cannot spend half of its trials at random.
    startup = 8 if trials is None else min(8, max(3, trials // 3))
    # `constant_liar`: points being tried elsewhere are avoided. `group`: conditional keys are modelled together with
    # those they occur with.
    return optuna.samplers.TPESampler(
        seed=seed,
        multivariate=True,
        group=True,
        constant_liar=places > 1,
        n_startup_trials=startup,
    )


def _pruner(name: str) -> optuna.pruners.BasePruner:
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)
    if name == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    return optuna.pruners.NopPruner()
