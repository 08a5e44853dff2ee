import pytest
import torch

from bmx.data.arrays import Arrays, Source
from bmx.data.pipeline.fingerprint import fingerprint
from bmx.data.pipeline.prepare import prepare
from bmx.data.spec import DataSpec
from bmx.data.synthetic import synthetic
from bmx.errors import UsageError


@pytest.fixture
def source():
    return synthetic(samples=200, test_samples=30, shape=(1, 5, 5), classes=4)


def rows(arrays):
    return sorted((*image.flatten().tolist(), target) for image, target in zip(*vars(arrays).values(), strict=True))


def test_the_three_parts_are_the_source(source):
    data = prepare(source, 0.2, seed=1)
    assert (len(data.train), len(data.val), len(data.test)) == (160, 40, 30)
    assert data.test is source.test
    assert data.spec is source.spec
    assert sorted(rows(data.train) + rows(data.val)) == rows(source.train)


def test_nothing_is_copied_where_nothing_is_held_out(source):
    data = prepare(source, 0, seed=1)
    assert data.val is None
    assert data.train is source.train


def test_the_fingerprint_is_of_the_source_and_not_of_the_split(source):
    first, second = prepare(source, 0.2, seed=1), prepare(source, 10, seed=2)
    assert first.fingerprint == second.fingerprint == fingerprint(source)
    assert len(first.fingerprint) == 16
    int(first.fingerprint, 16)


def changed(source, part, field):
    arrays = {"train": source.train, "test": source.test}
    tensors = {"inputs": arrays[part].inputs.clone(), "targets": arrays[part].targets.clone()}
    tensors[field].view(-1)[-1] += 1
    return Source(**(arrays | {part: Arrays(**tensors)}), spec=source.spec)


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("field", ["inputs", "targets"])
def test_one_changed_value_changes_the_fingerprint(source, part, field):
    assert fingerprint(changed(source, part, field)) != fingerprint(source)


def test_shape_type_and_spec_change_the_fingerprint(source):
    def as_table(shape, spec_name="t"):
        arrays = Arrays(torch.zeros(shape), torch.zeros(shape[0], dtype=torch.int64))
        return Source(arrays, arrays, DataSpec(spec_name, "table", (shape[1],), 2))

    marks = {fingerprint(s) for s in (source, as_table((4, 6)), as_table((6, 4)), as_table((4, 6), "u"))}
    assert len(marks) == 4


def test_a_fingerprint_never_changes():
    arrays = Arrays(torch.tensor([[1.0, 2.0]]), torch.tensor([1]))
    assert fingerprint(Source(arrays, arrays, DataSpec("t", "table", (2,), 2))) == "380cf46ad9ccb903"


def test_tensors_that_numpy_does_not_know_have_a_fingerprint_too():
    arrays = Arrays(torch.ones(3, 2, dtype=torch.bfloat16), torch.zeros(3))
    assert len(fingerprint(Source(arrays, arrays, DataSpec("t", "table", (2,), 0)))) == 16


def test_empty_parts_are_refused(source):
    none = Arrays(source.test.inputs[:0], source.test.targets[:0])
    for wrong in (Source(source.train, none, source.spec), Source(none, source.test, source.spec)):
        with pytest.raises(UsageError, match="is empty"):
            prepare(wrong, 0.1, 0)
