"""What the arithmetic coder wrote is read back, in about as many bits as it has to take."""

import math
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bmx.packing.coder import Contexts, RangeDecoder, RangeEncoder

DECISIONS = st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=300)


@given(DECISIONS, st.lists(st.tuples(st.integers(0, 2**20 - 1), st.just(20)), max_size=10))
@example([], [])
@example([(0, True)] * 5000, [])
@example([(0, False)] * 5000, [(0, 20)])
@example([(0, False)] * 5000 + [(0, True)] * 5000, [(2**20 - 1, 20)])
def test_what_is_written_is_read(decisions, numbers):
    encoder, contexts = RangeEncoder(), Contexts(3)
    for at, bit in decisions:
        encoder.write(contexts, at, bit)
    for value, bits in numbers:
        encoder.write_number(value, bits)
    for at, bit in decisions:
        encoder.write(contexts, at, not bit)
    decoder, contexts = RangeDecoder(encoder.finish()), Contexts(3)
    assert [decoder.read(contexts, at) for at, _ in decisions] == [bit for _, bit in decisions]
    assert [decoder.read_number(bits) for _, bits in numbers] == [value for value, _ in numbers]
    assert [decoder.read(contexts, at) for at, _ in decisions] == [not bit for _, bit in decisions]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.3, 0.5, 0.99])
def test_bits_are_those_of_the_entropy(share):
    random.seed(1)
    bits = [random.random() < share for _ in range(50_000)]
    ones = sum(bits) / len(bits)
    entropy = -sum(p * math.log2(p) for p in (ones, 1 - ones) if p) * len(bits) / 8
    encoder, contexts = RangeEncoder(), Contexts(1)
    for bit in bits:
        encoder.write(contexts, 0, bit)
    assert len(encoder.finish()) <= 1.01 * entropy + 16


def test_nothing_takes_no_room():
    assert RangeEncoder().finish() == b""


def test_a_carry_runs_through_all_that_waits_for_it():
    """Decisions of probability near 1 pile up bytes of 0xFF that the next one turns over."""
    random.seed(3)
    for length in range(200, 260):
        encoder, contexts = RangeEncoder(), Contexts(1)
        bits = [0] * length + [1] * 3 + [0] * random.randrange(50)
        for bit in bits:
            encoder.write(contexts, 0, bit)
        decoder, contexts = RangeDecoder(encoder.finish()), Contexts(1)
        assert [decoder.read(contexts, 0) for _ in bits] == bits
