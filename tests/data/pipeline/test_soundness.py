"""Data that cannot be right are told when they are loaded; data that only look odd are taken."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bmx.data.arrays import Arrays, Source
from bmx.data.digits import digits
from bmx.data.language_id import language_id
from bmx.data.pipeline import soundness
from bmx.data.pipeline.input_stage import InputStage
from bmx.data.pipeline.prepare import prepare
from bmx.data.pipeline.rows import FileRows
from bmx.data.points import points
from bmx.data.spec import DataSpec
from bmx.data.tables import breast_cancer, diabetes, iris, wine
from bmx.errors import UsageError

TABLE = DataSpec("mine", "table", (3,), 2)
VALUES = DataSpec("mine", "table", (3,), 0)
TOKENS = DataSpec("mine", "tokens", (4,), 2, vocab_size=5)
BAD = st.sampled_from([math.nan, math.inf, -math.inf])


def table(rows: int = 20, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed))


def classes(rows: int = 20) -> torch.Tensor:
    return torch.arange(rows) % 2


def source(spec: DataSpec = TABLE, train=None, train_targets=None, test=None, test_targets=None) -> Source:
    train = table() if train is None else train
    test = table(10, 1) if test is None else test
    train_targets = classes(len(train)) if train_targets is None else train_targets
    test_targets = classes(len(test)) if test_targets is None else test_targets
    return Source(Arrays(train, train_targets), Arrays(test, test_targets), spec)


def refused(made: Source, **more) -> UsageError:
    with pytest.raises(UsageError) as caught:
        prepare(made, 0.2, **more)
    assert caught.value.fix and caught.value.where
    return caught.value


def changed(values: torch.Tensor, place, to) -> torch.Tensor:
    values = values.clone()
    values[place] = to
    return values


@given(st.sampled_from(["training", "test"]), st.integers(0, 9), st.integers(0, 2), BAD)
def test_a_value_that_is_not_finite_is_told_with_its_place(split, row, column, value):
    part = "train" if split == "training" else "test"
    bad = changed(table(20 if part == "train" else 10), (row, column), value)
    told = refused(source(**{part: bad}))
    assert f"1 {split} value is not a finite number" in told.what
    assert f"row {row}, column {column}: {value:g}" in told.what
    assert told.where == "data=mine"


def test_all_problems_of_all_kinds_are_told_at_once():
    bad = table()
    bad[3:8, 1] = math.nan
    told = refused(source(train=bad, test=changed(table(10), (2, 0), math.inf)))
    assert "5 training values are not finite numbers, in 5 of 20 rows" in told.what
    assert "row 3, column 1: nan; row 4, column 1: nan; row 5, column 1: nan, …" in told.what
    assert "1 test value is not a finite number" in told.what


def test_a_number_that_32_bits_cannot_hold_is_none():
    told = refused(source(train=changed(table().double(), (4, 2), 1e300)))
    assert "row 4, column 2: inf" in told.what


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 5, 2)])
def test_pixels_that_are_not_finite(shape):
    images = torch.rand(8, *shape)
    images[6, 0, 1, 1] = math.nan
    told = refused(source(DataSpec("mine", "image", shape, 2), images, test=torch.rand(4, *shape)))
    assert "row 6, channel, y, x [0, 1, 1]: nan" in told.what


def test_files_are_named(tmp_path: Path):
    values = changed(table(), (7, 1), math.nan)
    file = tmp_path / "rows.bin"
    file.write_bytes(values.numpy().tobytes())
    told = refused(source(train=FileRows.whole(file, torch.float32, (20, 3))))
    assert str(file) in told.what and "row 7, column 1" in told.what


@pytest.mark.parametrize("part", ["train_targets", "test_targets"])
@pytest.mark.parametrize("wrong", [2, -1, 100])
def test_a_class_that_does_not_exist(part: str, wrong: int):
    told = refused(source(**{part: changed(classes(20 if part == "train_targets" else 10), 5, wrong)}))
    assert f"target is no class from 0 to 1 (row 5: {wrong}" in told.what
    assert part.split("_")[0] in told.what and "num_classes" in told.fix


@pytest.mark.parametrize("kind", [torch.int32, torch.uint8, torch.int8, torch.int16, torch.bool, torch.float32,
                                  torch.float64, torch.float16])  # fmt: skip
def test_class_numbers_of_any_type_are_taken(kind: torch.dtype):
    data = prepare(source(train_targets=classes().to(kind), test_targets=classes(10).to(kind)), 0.2)
    plain = prepare(source(), 0.2)
    for made, expected in ((data.train, plain.train), (data.val, plain.val), (data.test, plain.test)):
        assert made.targets.dtype == torch.int64 and torch.equal(made.targets, expected.targets)
    assert data.fingerprint == plain.fingerprint


@pytest.mark.parametrize("kind", [np.uint16, np.uint32, np.int64, np.float64, bool])
def test_arrays_of_numpy_and_lists_are_taken(kind):
    rows, labels = table().numpy().astype(np.float64), classes().numpy().astype(kind)
    for made in (Arrays(rows, labels), Arrays(rows.tolist(), labels.tolist()), Arrays(rows, labels[:, None])):
        data = prepare(Source(made, made, TABLE), 0.2)
        assert data.test.targets.dtype == torch.int64 and data.test.targets.tolist() == classes().tolist()


@pytest.mark.parametrize("part", ["train_targets", "test_targets"])
@pytest.mark.parametrize(("wrong", "said"), [(0.5, "a fraction"), (math.nan, "a class could have")])
def test_a_class_number_is_whole(part: str, wrong: float, said: str):
    told = refused(source(**{part: changed(classes(20 if part == "train_targets" else 10).float(), 3, wrong)}))
    assert said in told.what and "row 3" in told.what


@pytest.mark.parametrize("kind", [torch.int64, torch.float64, torch.float16, torch.uint8])
def test_targets_of_a_regression_may_be_any_numbers(kind: torch.dtype):
    data = prepare(source(VALUES, train_targets=torch.arange(20).to(kind)), 0.2)
    assert data.train.targets.dtype == data.test.targets.dtype == torch.float32


@pytest.mark.parametrize("part", ["train_targets", "test_targets"])
def test_targets_of_a_regression_are_finite(part: str):
    told = refused(source(VALUES, **{part: changed(table()[: 20 if part[1] == "r" else 10, 0], 4, math.inf)}))
    assert "target is not a finite number (row 4: inf" in told.what


def test_one_class_is_none():
    told = refused(source(train_targets=torch.ones(20, dtype=torch.int64)))
    assert "every training target is class 1" in told.what
    told = refused(source(DataSpec("mine", "table", (3,), 1), train_targets=torch.zeros(20), test_targets=[0] * 10))
    assert "class 0" in told.what
    told = refused(source(), leave_out=[1])
    assert "of one class only" in told.what and "leave_out" in told.where
    assert "no training sample is left" in refused(source(), leave_out=[0, 1]).what


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_empty_split(part: str):
    told = refused(source(**{part: table()[:0]}))
    assert "set of 'mine' is empty" in told.what


@pytest.mark.parametrize(
    ("spec", "train", "said", "fix"),
    [
        (TABLE, torch.randn(20, 4), "shape 4, the spec of 'mine' says input_shape 3", "the same"),
        (DataSpec("mine", "image", (1, 5, 5), 2), torch.rand(20, 5, 5), "shape 5×5", "unsqueeze"),
        (DataSpec("mine", "image", (3, 5, 6), 2), torch.rand(20, 5, 6, 3), "shape 5×6×3", "permute(0, 3, 1, 2)"),
        (TABLE, torch.randn(20, 3) * 1j, "complex", "real"),
    ],
)
def test_samples_of_another_form(spec, train, said, fix):
    test = torch.zeros(10, *spec.input_shape)
    told = refused(source(spec, train, test=test))
    assert said in told.what and fix in told.fix and "training" in told.what
    told = refused(source(spec, torch.rand(20, *spec.input_shape), test=train[:10]))
    assert said in told.what and "test" in told.what


@pytest.mark.parametrize(
    ("inputs", "targets", "said"),
    [
        (table(), classes(19), r"must have shape \(20,\)"),
        (table(), torch.zeros(20, 3), "argmax"),
        (table()[:, 0], classes(), "one or more numbers"),
        ([["a", "b", "c"]] * 20, classes(), "must be numbers"),
        (table(), ["setosa"] * 20, "must be numbers, got list"),
        ([[1, 2], [3]], [0, 1], "as many numbers"),
        (None, classes(), "must be numbers"),
        (table().to_sparse(), classes(), "dense"),
    ],
)
def test_what_is_no_array_of_numbers(inputs, targets, said):
    with pytest.raises(ValueError, match=said):
        Arrays(inputs, targets)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"num_classes": 2.5}, "`num_classes` must be a whole number"),
        ({"input_shape": 3}, "`input_shape` must be whole numbers"),
        ({"input_shape": (3.5,)}, "`input_shape` must be whole numbers"),
        ({"labels": "ab"}, "`labels` must be a list"),
    ],
)
def test_a_spec_says_what_it_cannot_be(fields, said):
    with pytest.raises(ValueError, match=said):
        DataSpec(**({"name": "mine", "kind": "table", "input_shape": (3,), "num_classes": 2} | fields))


def test_a_spec_of_numpy_numbers_is_plain():
    spec = DataSpec("mine", "table", np.array([3]), np.int64(2), labels=np.array(["a", "b"]))
    assert spec == DataSpec("mine", "table", (3,), 2, labels=("a", "b"))
    assert (
        prepare(source(spec), 0.2).fingerprint == prepare(source(DataSpec.from_dict(spec.to_dict())), 0.2).fingerprint
    )


def test_a_source_is_two_arrays_and_a_spec():
    with pytest.raises(ValueError, match=r"`train` of a Source must be bmx\.data\.arrays\.Arrays, got tuple"):
        Source((table(), classes()), Arrays(table(), classes()), TABLE)


def tokens(rows: int = 20) -> torch.Tensor:
    return torch.arange(rows * 4).view(rows, 4) % 4 + 1


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.float32])
def test_tokens(kind: torch.dtype):
    good = source(TOKENS, tokens().to(kind), test=tokens(10).to(kind))
    assert not prepare(good, 0.2).train.inputs.dtype.is_floating_point
    told = refused(source(TOKENS, changed(tokens(), (3, 2), 5).to(kind), test=tokens(10).to(kind)))
    assert "1 training token is not an id from 0 to 4 (row 3, position 2: 5" in told.what
    told = refused(source(TOKENS, tokens().to(kind), test=changed(tokens(10), 7, 0).to(kind)))
    assert "1 test sequence is empty, nothing but padding (row 7" in told.what


def test_tokens_are_whole():
    assert "float32, not ids" in refused(source(TOKENS, tokens() + 0.5, test=tokens(10))).what


def test_a_constant_feature_is_said_and_does_no_harm():
    rows = changed(table(), (slice(None), 1), 7.25)
    data = prepare(source(train=rows), 0.2)
    assert data.notes == ("column 1 of the training set never changes: a model learns nothing from it",)
    assert torch.isfinite(InputStage.fitted(data.spec, data.train)(rows)).all()


def test_a_constant_channel_is_said():
    images = torch.randint(0, 255, (20, 3, 4, 4), dtype=torch.uint8)
    images[:, 2] = 9
    (note,) = prepare(source(DataSpec("mine", "image", (3, 4, 4), 2), images, test=images[:10]), 0.2).notes
    assert note.startswith("channel 2 of the training set never changes")


def test_classes_that_nobody_can_learn_are_said():
    spec = DataSpec("mine", "table", (3,), 4, labels=("a", "b", "c", "d"))
    (note,) = prepare(source(spec), 0.2).notes
    assert note == "2 of 4 classes are without a training sample: 2 (c), 3 (d)"
    (note,) = prepare(source(VALUES, train_targets=torch.full((20,), 3.0)), 0.2).notes
    assert "every training target is 3" in note


@given(st.floats(-30, 30), st.floats(-37, 30), st.integers(0, 5))
def test_what_passes_is_finite_once_it_is_normalised(offset, spread, seed):
    values = table(20, seed).double() * 10.0**spread
    values = (values + math.copysign(10.0 ** abs(offset) if abs(offset) > 1 else 0.0, offset)).float()
    made = source(train=values, test=values[:10] * 3)
    try:
        data = prepare(made, 0.2)
    except UsageError as error:
        assert "32 bits" in error.what or "finite" in error.what
        return
    stage = InputStage.fitted(data.spec, data.train)
    for part in (data.train, data.val, data.test):
        assert torch.isfinite(stage(part.inputs)).all()


def test_a_test_set_in_other_units_is_told():
    told = refused(source(train=table() * 1e-20, test=table(10) * 1e15))
    assert "of the test set reaches" in told.what


@given(st.lists(st.integers(0, 5), min_size=8, max_size=60), st.floats(0.05, 0.9), st.integers(0, 99))
def test_validation_never_takes_the_last_sample_of_a_class(labels, fraction, seed):
    targets = torch.tensor([0, 0, 0, 1, 1, 1, *labels])
    spec, rows = DataSpec("mine", "table", (3,), 6), table(len(targets))
    made = Source(Arrays(rows, targets), Arrays(rows, targets), spec)
    count = max(1, round(fraction * len(targets)))
    if count > len(targets) - len(targets.unique()):
        with pytest.raises(UsageError, match="leaves none of some of the"):
            prepare(made, fraction, seed)
        return
    data = prepare(made, fraction, seed)
    assert torch.equal(data.train.targets.unique(), targets.unique())
    assert len(data.val) == count and len(data.train) == len(targets) - count


def test_a_large_set_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On disk, in pieces; what was found is kept by the contents, also that there is a constant column."""
    monkeypatch.setenv("BMX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(soundness, "LARGE", 100)
    file = tmp_path / "rows.bin"

    def written(values: torch.Tensor) -> Source:
        file.write_bytes(values.numpy().tobytes())
        return source(train=FileRows.whole(file, torch.float32, (20, 3)))

    looked = []
    check = soundness.check_inputs
    monkeypatch.setattr(soundness, "check_inputs", lambda *a: (looked.append(1), check(*a)))
    constant = changed(table(), (slice(None), 0), 1.0)
    notes = [prepare(written(constant), 0.2).notes for _ in range(3)]
    assert looked == [1] and notes[0] == notes[1] == notes[2] and "column 0" in notes[0][0]
    # What is wrong is not kept, and other contents are looked at.
    for times in (2, 3):
        refused(written(changed(table(), (0, 0), math.nan)))
        assert len(looked) == times
    for damaged in (tmp_path / "cache" / "checked").iterdir():
        damaged.write_text("{")
    assert prepare(written(constant), 0.2).notes == notes[0]


@pytest.mark.parametrize("load", [iris, wine, breast_cancer, diabetes, digits, language_id, points])
def test_the_sets_of_bmx_are_sound(load):
    data = prepare(load(), 0)
    assert not [note for note in data.notes if "channel" not in note and "column" not in note]
