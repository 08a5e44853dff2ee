"""Token data: sequences of token ids, padded to (T,)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bmx.data.kinds.kind import Kind
from bmx.data.pipeline.chunks import chunks, whole
from bmx.data.pipeline.problems import EXAMPLES, Problems, more
from bmx.data.pipeline.rows import FileRows

if TYPE_CHECKING:
    from bmx.data.spec import DataSpec


class Tokens(Kind):
    axes = ("position",)
    samples = "sequences"
    values = "token ids"
    stored = torch.int64
    ids = True
    unmixable = "tokens cannot be mixed"

    def check(self, spec: DataSpec) -> None:
        if not 0 <= spec.pad_id < spec.vocab_size:
            raise ValueError(f"`pad_id` must be below `vocab_size` {spec.vocab_size}, got {spec.pad_id}")

    def sizes(self, spec: DataSpec) -> dict[str, Any]:
        return {"max_length": spec.input_shape[0]}

    def random_inputs(self, spec: DataSpec, samples: int, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
        """Ids (``samples``, T) without padding, int64 whatever ``dtype`` is."""
        ids = torch.randint(0, max(1, spec.vocab_size - 1), (samples, *spec.input_shape), generator=generator)
        return ids + (ids >= spec.pad_id) if spec.vocab_size > 1 else ids

    def in_form(self, inputs: Tensor | FileRows, split: str, problems: Problems) -> Tensor | FileRows:
        kind = inputs.dtype
        if not (kind.is_floating_point or kind == torch.bool):
            return inputs
        if isinstance(inputs, FileRows) or not whole(inputs).all():
            what = f"the {split} tokens are {str(kind).removeprefix('torch.')}, not ids"
            problems.add(what, "give whole numbers from 0 to vocab_size - 1")
            return inputs
        return inputs.long()

    def check_values(self, inputs: Tensor | FileRows, spec: DataSpec, split: str, problems: Problems) -> None:
        outside, empty = 0, 0
        said: list[str] = []
        rows: list[str] = []
        for first, chunk in chunks(inputs):
            low, high = int(chunk.min()), int(chunk.max())
            if low < 0 or high >= spec.vocab_size:
                places = ((chunk < 0) | (chunk >= spec.vocab_size)).nonzero()
                outside += len(places)
                for row, column in places[: EXAMPLES - len(said)].tolist():
                    said.append(f"row {first + row}, position {column}: {int(chunk[row, column])}")
            blank = (chunk == spec.pad_id).all(1).nonzero().flatten().tolist()
            empty += len(blank)
            rows += [str(first + row) for row in blank[: EXAMPLES - len(rows)]]
        if outside:
            noun = "token is not" if outside == 1 else "tokens are not"
            what = f"{outside:,} {split} {noun} an id from 0 to {spec.vocab_size - 1} ({'; '.join(said)}{more(outside)}"
            problems.add(f"{what}, counted from 0)", "give vocab_size = the largest id + 1, or correct these rows")
        if empty:
            noun = "sequence is" if empty == 1 else "sequences are"
            what = f"{empty:,} {split} {noun} empty, nothing but padding (row {', '.join(rows)}{more(empty)}"
            problems.add(f"{what}, counted from 0)", "leave these rows out")

    def show(self, raw: Tensor, spec: DataSpec) -> str:
        ids = [int(i) for i in raw if int(i) != spec.pad_id]
        return "".join(spec.vocabulary[i] for i in ids) if spec.vocabulary else " ".join(map(str, ids))

    def description(self, spec: DataSpec) -> dict[str, Any]:
        return {"vocabulary": list(spec.vocabulary), "pad_id": spec.pad_id}


KIND = Tokens()
