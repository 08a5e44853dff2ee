"""How the fractions that are kept are chosen, trial after trial."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bmx.errors import UsageError

# Two fractions this near to each other are not worth a trial: the ratio of their logarithms.
_NEAR = 1.03


@dataclass(frozen=True)
class Point:
    """One trial.

    Attributes:
        kept: the fraction of each knob.
        folder: its run.
        result: of that run; empty where the model could not be compressed so.
        excess: by how much it misses the target; 0 or less where it holds.
        size: of what came out.
        reason: why there is no result.
    """

    kept: dict[str, float]
    folder: Path
    result: dict[str, Any]
    excess: float
    size: float
    reason: str = ""


def single(trial: Callable[[float], Point], least: float, trials: int, smallest: bool) -> list[Point]:
    """Bisects one fraction between ``least`` and 1, by ratios.

    Args:
        trial: makes the trial of a fraction.
        least: the smallest fraction.
        trials: how many at most.
        smallest: the target holds for large fractions, and the smallest is wanted; otherwise it holds for small
            fractions, and the largest is wanted.
    """
    low, high = least, 1.0
    points: list[Point] = []
    while len(points) < trials and high / low > _NEAR:
        middle = math.sqrt(low * high)
        point = trial(middle)
        points.append(point)
        if (point.excess <= 1e-9) == smallest:
            high = middle
        else:
            low = middle
    return points


def need_optuna() -> None:
    """Makes sure that Optuna is there.

    Raises:
        UsageError: it is not installed.
    """
    if find_spec("optuna") is None:
        raise UsageError("optuna is not installed", "target, with several stages", "pip install 'bmx[optuna]'")


def several(
    trial: Callable[[dict[str, float]], Point], least: dict[str, float], trials: int, seed: int, smallest: bool
) -> list[Point]:
    """Searches several fractions together, by the tree-structured Parzen estimator.

    What is minimised is the logarithm of the size, or what is lost of the accuracy where the size is the target, with
    the excess over the target as a constraint. The same results give the same trials, so a search can be taken up.

    Args:
        trial: makes the trial of fractions.
        least: the smallest fraction of each knob.
        trials: how many.
        seed: of the sampler.
        smallest: whether the smallest model is wanted, rather than the best that is small enough.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def constraint(frozen: Any) -> list[float]:
        return [float(frozen.user_attrs["excess"])]

    sampler = optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=max(3, trials // 3), multivariate=False, constraints_func=constraint
    )
    study = optuna.create_study(sampler=sampler)
    points = []
    for _ in range(trials):
        asked = study.ask()
        kept = {path: asked.suggest_float(path, low, 1.0, log=True) for path, low in least.items()}
        point = trial(kept)
        points.append(point)
        asked.set_user_attr("excess", min(point.excess, 1e6))
        lost = _accuracy_lost(point)
        study.tell(asked, min(math.log(point.size) if smallest else lost, 1e6) if point.result else 1e6)
    return points


def _accuracy_lost(point: Point) -> float:
    if not point.result:
        return math.inf
    metrics = point.result["compression"]["after"]["metrics"]
    return 1 - metrics["accuracy"] if "accuracy" in metrics else float(metrics["rmse"])
