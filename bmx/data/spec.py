"""Specification of a data set: shapes, classes and labels, without its arrays."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bmx.data.kinds.found import kind_named, kind_of_file, names
from bmx.data.kinds.kind import Kind

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class DataSpec:
    """The shape and meaning of one sample and its target.

    Args:
        name: its option of ``data``, such as ``mnist_5k``.
        kind: what a sample is: ``image``, ``tokens``, ``table``, or a kind of another package.
        input_shape: ``(C, H, W)`` of an image, ``(T,)`` of a token sequence padded to T, ``(F,)`` of a table row.
        num_classes: number of classes; 0 is regression with one float target.
        labels: class names, one for each class, or none.
        vocab_size: tokens only: ids are 0 .. vocab_size - 1.
        pad_id: tokens only: the padding id.
        vocabulary: tokens only: the symbol of each id, or none.

    Raises:
        ValueError: fields that contradict each other, or an unknown kind.
    """

    name: str
    kind: str
    input_shape: tuple[int, ...]
    num_classes: int
    labels: tuple[str, ...] = ()
    vocab_size: int = 0
    pad_id: int = 0
    vocabulary: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        form = kind_named(str(self.kind))
        if form is None:
            raise ValueError(f"`kind` must be one of {', '.join(names())}, got {self.kind!r}")
        self._plain()
        rank = len(form.axes)
        if len(self.input_shape) != rank or min(self.input_shape) < 1:
            raise ValueError(f"`input_shape` of {self.kind} data must have {rank} sizes >= 1, got {self.input_shape}")
        if self.num_classes < 0:
            raise ValueError(f"`num_classes` must be >= 0, got {self.num_classes}")
        if self.labels and len(self.labels) != self.num_classes:
            raise ValueError(f"`labels` must name {self.num_classes} classes, got {len(self.labels)}")
        form.check(self)
        if self.vocabulary and len(self.vocabulary) != self.vocab_size:
            raise ValueError(f"`vocabulary` must have {self.vocab_size} symbols, got {len(self.vocabulary)}")

    def _plain(self) -> None:
        """Converts values of a user's function (numpy numbers, lists, labels) to plain Python numbers and tuples."""
        try:
            object.__setattr__(self, "input_shape", tuple(operator.index(size) for size in self.input_shape))
        except TypeError:
            raise ValueError(f"`input_shape` must be whole numbers, got {self.input_shape!r}") from None
        for name in ("num_classes", "vocab_size", "pad_id"):
            try:
                object.__setattr__(self, name, operator.index(getattr(self, name)))
            except TypeError:
                raise ValueError(f"`{name}` must be a whole number, got {getattr(self, name)!r}") from None
        for name in ("labels", "vocabulary"):
            given = getattr(self, name)
            if isinstance(given, str):
                raise ValueError(f"`{name}` must be a list of words, got {given!r}")
            object.__setattr__(self, name, tuple(map(str, () if given is None else given)))

    @property
    def form(self) -> Kind:
        """The :class:`Kind` of its samples."""
        found = kind_named(self.kind)
        assert found is not None, "a spec of an unknown kind is not made"
        return found

    @property
    def task(self) -> Task:
        return "classification" if self.num_classes else "regression"

    @property
    def channels(self) -> int:
        """Channels of a sample, 0 where this kind of data has none."""
        return self.form.channels(self)

    def model_arguments(self) -> dict[str, Any]:
        """All arguments that a model's constructor may take from the data; a size that this kind lacks is 0."""
        outputs = self.num_classes or 1
        return {
            "input_shape": self.input_shape,
            "in_channels": self.channels,
            "in_chans": self.channels,
            "image_size": 0,
            "img_size": 0,
            "in_features": math.prod(self.input_shape),
            "num_classes": outputs,
            "num_outputs": outputs,
            "vocab_size": self.vocab_size,
            "max_length": 0,
            "pad_id": self.pad_id,
            **self.form.sizes(self),
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain containers that JSON, YAML and a ``weights_only`` checkpoint can hold."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> DataSpec:
        """The inverse of :meth:`to_dict`."""
        arguments: dict[str, Any] = {k: tuple(v) if isinstance(v, list | tuple) else v for k, v in fields.items()}
        return cls(**arguments)

    @classmethod
    def of_file(cls, fields: Mapping[str, Any], source: Path) -> DataSpec:
        """The inverse of :meth:`to_dict` for a spec from an untrusted file.

        Raises:
            UsageError: the kind of data is unknown, or must not be imported for that file.
        """
        kind_of_file(fields["kind"], source)
        return cls.from_dict(fields)
