"""Small tabular data sets of scikit-learn: three for classification, one for regression."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import torch

from bmx.data.arrays import Arrays, Source
from bmx.data.pipeline.cache import cached_arrays
from bmx.data.pipeline.split import hold_out
from bmx.data.spec import DataSpec

_TEST_FRACTION = 0.2


def iris() -> Source:
    """Iris: three species by four lengths of a flower (Fisher 1936); 120 training and 30 test rows."""
    return _table("iris")


def wine() -> Source:
    """Wine: three growers by 13 chemical measures (UCI); 142 training and 36 test rows."""
    return _table("wine")


def breast_cancer() -> Source:
    """Breast cancer (UCI, Wisconsin): malignant or benign by 30 features of cell nuclei; 455 training, 114 test."""
    return _table("breast_cancer")


def diabetes() -> Source:
    """Diabetes: progress of the disease after a year, 25 to 346, by 10 measures; 354 training and 88 test rows.

    Regression (Efron et al. 2004, "Least angle regression"). The features are unscaled: scikit-learn's own scaling uses
    the test rows too.
    """
    return _table("diabetes")


def _table(name: str) -> Source:
    """A table of scikit-learn as float32 rows, a fixed fifth of them for testing."""
    arrays = cached_arrays(f"{name}-sklearn-{version('scikit-learn')}", lambda: _load(name))
    everything = Arrays(torch.from_numpy(arrays["rows"]), torch.from_numpy(arrays["targets"]))
    labels = tuple(arrays["labels"].tolist())
    train, test = hold_out(everything.targets, _TEST_FRACTION, seed=0)
    spec = DataSpec(name, "table", (everything.inputs.shape[1],), len(labels), labels)
    return Source(everything.select(train), everything.select(test), spec)


def _load(name: str) -> dict[str, np.ndarray]:
    import sklearn.datasets  # a second to import, so only where there is nothing in the cache

    if name == "diabetes":
        rows, targets = sklearn.datasets.load_diabetes(return_X_y=True, scaled=False)
        return {"rows": rows.astype(np.float32), "targets": targets.astype(np.float32), "labels": np.array([], "U1")}
    table = getattr(sklearn.datasets, f"load_{name}")()
    labels = np.array([str(label) for label in table.target_names])
    return {"rows": table.data.astype(np.float32), "targets": table.target.astype(np.int64), "labels": labels}
