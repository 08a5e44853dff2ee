"""Every metric against scikit-learn and scipy, on answers with rare, absent and never answered classes."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from scipy import stats
from sklearn import metrics as sklearn

import bmx.metrics
from bmx.errors import UsageError
from bmx.metrics.accuracy import Accuracy, BalancedAccuracy
from bmx.metrics.chance_corrected import CohenKappa, MatthewsCorrelation
from bmx.metrics.macro import F1, Precision, Recall
from bmx.metrics.rank_correlation import Spearman
from bmx.metrics.regression_errors import (
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    RootMeanSquaredError,
    RSquared,
)
from bmx.metrics.standard import LOSS, MAIN, STANDARD, main_of, named, notes, standard
from bmx.metrics.top_k import TopK

CLASSES = 6


def answers(seed):
    """Logits and classes; class 4 does not occur, class 5 is never the answer."""
    random = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, CLASSES - 2, (300,), generator=random)
    targets[:7] = 5
    logits = torch.randn(300, CLASSES, generator=random) + torch.nn.functional.one_hot(targets, CLASSES)
    logits[:, 5] = -9
    return logits, targets


def macro(score):
    return lambda true, guessed: score(true, guessed, average="macro", zero_division=0)


OF_CLASSES = {
    Accuracy: sklearn.accuracy_score,
    BalancedAccuracy: sklearn.balanced_accuracy_score,
    CohenKappa: sklearn.cohen_kappa_score,
    MatthewsCorrelation: sklearn.matthews_corrcoef,
    Precision: macro(sklearn.precision_score),
    Recall: macro(sklearn.recall_score),
    F1: macro(sklearn.f1_score),
}


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", OF_CLASSES, ids=lambda kind: kind.__name__)
def test_of_classes(kind, seed):
    logits, targets = answers(seed)
    wanted = OF_CLASSES[kind](targets.numpy(), logits.argmax(1).numpy())
    assert kind()(logits, targets) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k(k):
    logits, targets = answers(0)
    wanted = sklearn.top_k_accuracy_score(targets.numpy(), logits.numpy(), k=k, labels=range(CLASSES))
    assert TopK(k)(logits, targets) == pytest.approx(wanted)
    assert TopK(k).said == f"top-{k} accuracy"


def test_as_many_as_there_are_classes_measure_nothing():
    with pytest.raises(UsageError, match="6 classes all are among"):
        TopK(6)(*answers(0))


OF_VALUES = {
    RootMeanSquaredError: sklearn.root_mean_squared_error,
    MeanAbsoluteError: sklearn.mean_absolute_error,
    RSquared: sklearn.r2_score,
    MeanAbsolutePercentageError: sklearn.mean_absolute_percentage_error,
    Spearman: lambda true, found: stats.spearmanr(true, found).statistic,
}


@pytest.mark.parametrize("kind", OF_VALUES, ids=lambda kind: kind.__name__)
def test_of_values(kind):
    random = torch.Generator().manual_seed(1)
    targets = 1 + torch.randint(0, 9, (200,), generator=random).double()  # many are equal
    found = (targets + torch.randn(200, generator=random, dtype=torch.float64)).round()
    assert kind()(found, targets) == pytest.approx(OF_VALUES[kind](targets.numpy(), found.numpy()), abs=1e-12)


def test_what_is_not_defined_is_not_a_number():
    constant, zero = torch.ones(4).double(), torch.zeros(4).double()
    assert math.isnan(Spearman()(constant, constant))
    assert math.isnan(RSquared()(constant, constant))
    assert math.isnan(MeanAbsolutePercentageError()(constant, zero))
    one_class = torch.tensor([[1.0, 0.0]] * 4), torch.zeros(4, dtype=torch.int64)
    assert math.isnan(CohenKappa()(*one_class)) and MatthewsCorrelation()(*one_class) == 0


def test_what_is_known_by_name():
    assert named("val/accuracy") is MAIN["classification"] and named("rmse") is MAIN["regression"]
    assert [metric.name for metric in standard("classification")] == ["accuracy", "precision", "recall", "f1"]
    assert [metric.name for metric in standard("regression")] == ["rmse", "mae", "r2"]
    assert len({metric.name for metric in STANDARD}) == len(STANDARD) and LOSS in STANDARD
    unknown = named("val/my_own")
    assert (unknown.said, unknown.higher_is_better, unknown.percent) == ("my own", None, False)
    noted = named("test/top_k", notes([TopK(3)]))
    assert (noted.said, noted.higher_is_better, noted.percent) == ("top-3 accuracy", True, True)
    assert main_of({"mae": 1.0, "rmse": 2.0}) is MAIN["regression"] and main_of({"mae": 1.0}) is None


def test_metrics_are_known_where_there_is_no_torch():
    modules = [path.stem for path in Path(bmx.metrics.__file__).parent.glob("[a-z]*.py")]
    lines = ["import sys", "sys.modules['torch'] = None", *(f"import bmx.metrics.{name}" for name in modules)]
    assert "standard" in modules
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
