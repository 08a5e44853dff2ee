"""What each rank computes of a batch and of a set: everything once, in one order, whatever their number."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from bmx.data.pipeline.batches import BatchOrder
from bmx.distributed.order import EveryNth, SharedOrder
from bmx.distributed.ranks import Ranks, current

sizes = st.integers(1, 200)
counts = st.integers(1, 9)


@given(first=st.integers(0, 50), samples=st.integers(0, 60), count=counts)
def test_the_shares_of_a_batch_are_all_of_it_once_and_about_equal(first, samples, count):
    shares = [Ranks(rank, count).share(first, first + samples) for rank in range(count)]
    taken = [index for begin, end in shares for index in range(begin, end)]
    assert taken == list(range(first, first + samples))
    lengths = [end - begin for begin, end in shares]
    assert max(lengths) - min(lengths) <= 1


@given(size=sizes, batch=sizes, count=counts, shuffle=st.booleans(), epoch=st.integers(0, 3))
def test_ranks_together_have_the_batches_of_one_process(size, batch, count, shuffle, epoch):
    whole = BatchOrder(size, batch, seed=3, shuffle=shuffle)
    ranks = [SharedOrder(whole, Ranks(rank, count)) for rank in range(count)]
    batches = [list(order.batches(epoch)) for order in ranks]
    for number, expected in enumerate(whole.batches(epoch)):
        counted = [order.counted(number) for order in ranks]
        assert {of for _, of in counted} == {len(expected)}
        parts = [mine[number][:own] for mine, (own, _) in zip(batches, counted, strict=True)]
        assert torch.equal(torch.cat(parts), expected)
        # Nobody is given an empty batch: gradients are added up by all or none.
        assert all(len(mine[number]) == max(own, 1) for mine, (own, _) in zip(batches, counted, strict=True))


@given(size=sizes, batch=sizes, count=counts)
def test_a_set_is_measured_batch_by_batch_in_turn(size, batch, count):
    whole = BatchOrder(size, batch, shuffle=False)
    ranks = [EveryNth(whole, Ranks(rank, count)) for rank in range(count)]
    assert sum(map(len, ranks)) == len(whole)
    for number in range(len(whole)):
        assert ranks[number % count].bounds(number // count) == whole.bounds(number)


@given(count=counts)
def test_no_two_ranks_or_steps_draw_the_same_numbers(count):
    seeds = [Ranks(rank, count).seed(seed, step) for rank in range(count) for seed in (0, 1) for step in (0, 1, 4095)]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**63 for seed in seeds)


def test_a_process_that_nobody_named_is_the_only_one(monkeypatch):
    for name in ("LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert current() == Ranks(0, 1) and current().is_main
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert current() == Ranks(0, 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert current() == Ranks(1, 2) and not current().is_main
