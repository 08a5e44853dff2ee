"""Which samples come together: every sample once, no batch and no part smaller than a model can take."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from bmx.data.arrays import Arrays
from bmx.data.pipeline.batches import BatchOrder, part_sizes
from bmx.data.pipeline.loading import MemoryReader, WorkerReader

CPU = torch.device("cpu")
sizes = st.integers(2, 120)


@given(sizes, sizes, st.integers(0, 3), st.booleans(), st.integers(1, 2))
def test_every_sample_comes_once_and_never_alone(size, batch_size, epoch, shuffle, least):
    order = BatchOrder(size, batch_size, seed=3, shuffle=shuffle, least=least)
    found = list(order.batches(epoch))
    assert torch.equal(torch.cat(found), order.permutation(epoch)) and len(found) == len(order)
    assert all(least <= len(batch) < batch_size + least for batch in found)
    if size % batch_size != 1 or least == 1:
        assert [len(b) for b in found] == [len(b) for b in order.permutation(epoch).split(batch_size)]
    for start in range(len(order)):
        rest = list(order.batches(epoch, start))
        assert len(rest) == len(found) - start
        assert all(torch.equal(a, b) for a, b in zip(rest, found[start:], strict=True))


@given(sizes, sizes, st.booleans(), st.integers(0, 4))
def test_all_readers_give_the_batches_of_the_order(size, batch_size, shuffle, start):
    order = BatchOrder(size, batch_size, seed=1, shuffle=shuffle, least=2)
    arrays = Arrays(torch.arange(size).float().view(-1, 1), torch.arange(size))
    start = min(start, len(order))
    expected = [batch.tolist() for batch in order.batches(1, start)]
    assert [y.tolist() for _, y in MemoryReader(arrays, order, CPU).epoch(1, start)] == expected
    assert [y.tolist() for _, y in WorkerReader(arrays, order, CPU, workers=0).epoch(1, start)] == expected


@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 3))
def test_parts_of_a_batch(samples, parts, least):
    found = part_sizes(samples, parts, least)
    chunks = [len(c) for c in torch.arange(samples).split(-(-samples // parts))]
    assert sum(found) == samples and len(found) <= parts
    assert min(found) >= min(least, samples)
    if min(chunks) >= least:
        assert found == chunks
    assert max(found) <= max(chunks) + least


def test_ten_samples_in_four_parts_leave_none_alone():
    assert part_sizes(10, 4) == [3, 3, 3, 1]
    assert part_sizes(10, 4, least=2) == [3, 3, 2, 2]
    assert part_sizes(5, 4, least=2) == [3, 2]
    assert part_sizes(1, 4, least=2) == [1]
