"""What a model, a task and a report need to know of a data set without holding its arrays."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Kind = Literal["image", "tokens", "table"]
Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class DataSpec:
    """The shape and meaning of one sample and its target.

    Args:
        name: the word it was chosen by, such as ``mnist_5k``.
        kind: what a sample is.
        input_shape: ``(C, H, W)`` of an image, ``(T,)`` of a token sequence padded to T, ``(F,)`` of a table row.
        num_classes: number of classes; 0 is regression with one float target.
        labels: class names, one for each class, or none.
        vocab_size: tokens only: ids are 0 .. vocab_size - 1.
        pad_id: tokens only: the id that fills a sequence up to T.
        vocabulary: tokens only: the symbol of each id, or none.

    Raises:
        ValueError: fields that contradict each other.
    """

    name: str
    kind: Kind
    input_shape: tuple[int, ...]
    num_classes: int
    labels: tuple[str, ...] = ()
    vocab_size: int = 0
    pad_id: int = 0
    vocabulary: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"`kind` must be one of {', '.join(get_args(Kind))}, got {self.kind!r}")
        self._plain()
        rank = 3 if self.kind == "image" else 1
        if len(self.input_shape) != rank or min(self.input_shape) < 1:
            raise ValueError(f"`input_shape` of {self.kind} data must have {rank} sizes >= 1, got {self.input_shape}")
        if self.num_classes < 0:
            raise ValueError(f"`num_classes` must be >= 0, got {self.num_classes}")
        if self.labels and len(self.labels) != self.num_classes:
            raise ValueError(f"`labels` must name {self.num_classes} classes, got {len(self.labels)}")
        if self.kind == "tokens" and not 0 <= self.pad_id < self.vocab_size:
            raise ValueError(f"`pad_id` must be below `vocab_size` {self.vocab_size}, got {self.pad_id}")
        if self.vocabulary and len(self.vocabulary) != self.vocab_size:
            raise ValueError(f"`vocabulary` must have {self.vocab_size} symbols, got {len(self.vocabulary)}")

    def _plain(self) -> None:
        """Makes plain Python numbers and tuples of what a user's function may give: numpy numbers, lists, labels."""
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
    def task(self) -> Task:
        return "classification" if self.num_classes else "regression"

    @property
    def channels(self) -> int:
        """Channels of an image, 0 for anything else."""
        return self.input_shape[0] if self.kind == "image" else 0

    def model_arguments(self) -> dict[str, Any]:
        """Every name that a model's constructor may ask for; a size that this kind of data lacks is 0."""
        _, height, width = self.input_shape if self.kind == "image" else (0, 0, 0)
        size = height if height == width else (height, width)
        outputs = self.num_classes or 1
        return {
            "input_shape": self.input_shape,
            "in_channels": self.channels,
            "in_chans": self.channels,
            "image_size": size,
            "img_size": size,
            "in_features": math.prod(self.input_shape),
            "num_classes": outputs,
            "num_outputs": outputs,
            "vocab_size": self.vocab_size,
            "max_length": self.input_shape[0] if self.kind == "tokens" else 0,
            "pad_id": self.pad_id,
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain containers that JSON, YAML and a ``weights_only`` checkpoint can hold."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> DataSpec:
        """The inverse of :meth:`to_dict`."""
        arguments: dict[str, Any] = {k: tuple(v) if isinstance(v, list | tuple) else v for k, v in fields.items()}
        return cls(**arguments)
