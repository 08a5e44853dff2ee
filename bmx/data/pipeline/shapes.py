"""Known specs of data sets, so that their shapes need no loading or download."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bmx.data.spec import DataSpec

_GREY, _COLOUR = (1, 28, 28), (3, 32, 32)
# By source function. Labels are left out: these specs are for the cost of a model, not for its predictions.
_KNOWN = {
    "bmx.data.mnist_5k.mnist_5k": DataSpec("mnist_5k", "image", _GREY, 10),
    "bmx.data.mnist.mnist": DataSpec("mnist", "image", _GREY, 10),
    "bmx.data.mnist.fashion_mnist": DataSpec("fashion_mnist", "image", _GREY, 10),
    "bmx.data.mnist.kmnist": DataSpec("kmnist", "image", _GREY, 10),
    "bmx.data.cifar.cifar10": DataSpec("cifar10", "image", _COLOUR, 10),
    "bmx.data.cifar.cifar100": DataSpec("cifar100", "image", _COLOUR, 100),
    "bmx.data.digits.digits": DataSpec("digits", "image", (1, 8, 8), 10),
}


def known_spec(target: str, fields: Mapping[str, Any]) -> DataSpec | None:
    """The spec of a data set without its labels, or None where the data must be loaded for it.

    Args:
        target: the source function, as in ``data._target_``.
        fields: the other fields of the data group.
    """
    if target == "bmx.data.synthetic.synthetic" and {"shape", "classes"} <= fields.keys():
        return DataSpec("synthetic", "image", tuple(int(n) for n in fields["shape"]), int(fields["classes"]))
    return _KNOWN.get(target)
