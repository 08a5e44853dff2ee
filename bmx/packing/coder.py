"""Adaptive binary arithmetic coder (a range coder).

Every bit belongs to a context, which counts the zeros and ones coded in it so far; its probability estimate is that of
Krichevsky & Trofimov 1981, ``(ones + ½) / (all + 1)``. The range is coded as in LZMA, a byte at a time, with carries.
All arithmetic is in integers, so any machine decodes what any other has coded.
"""

from __future__ import annotations

_TOP = 1 << 24
_MASK = 0xFFFFFFFF
# Counts are halved at this sum, so that a context follows data that change.
_MOST = 1 << 12


class Contexts:
    """Bit counts of a set of coding contexts.

    Args:
        count: contexts are numbered from 0 to ``count - 1``.
    """

    __slots__ = ("all", "ones")

    def __init__(self, count: int) -> None:
        # Twice the number of ones, and of all, plus the halves of the estimate.
        self.ones = [1] * count
        self.all = [2] * count


class RangeEncoder:
    """Encodes bits; ``finish`` returns the bytes."""

    def __init__(self) -> None:
        self._low = 0
        self._range = _MASK
        self._cache = 0
        self._pending = 0  # bytes 0xFF behind the cached one that a carry would still change
        self._started = False
        self._out = bytearray()

    def write(self, contexts: Contexts, at: int, bit: bool | int) -> None:
        """Encodes a bit in the context ``at`` and updates the counts of that context."""
        ones, total = contexts.ones[at], contexts.all[at]
        bound = self._range * ones // total
        if bit:
            self._range = bound
            ones += 2
        else:
            self._low += bound
            self._range -= bound
        total += 2
        if total > _MOST:
            ones, total = (ones >> 1) | 1, ((total >> 1) | 1) + 1
        contexts.ones[at], contexts.all[at] = ones, total
        while self._range < _TOP:
            self._range <<= 8
            self._shift()

    def write_number(self, value: int, bits: int) -> None:
        """Writes an integer from 0 to ``2**bits - 1`` uncompressed, at equal probabilities."""
        for place in range(bits - 1, -1, -1):
            self._range >>= 1
            if value >> place & 1:
                self._low += self._range
            while self._range < _TOP:
                self._range <<= 8
                self._shift()

    def finish(self) -> bytes:
        """The encoded bytes, without their trailing zeros, which the decoder supplies."""
        for _ in range(5):
            self._shift()
        return bytes(self._out).rstrip(b"\0")

    def _shift(self) -> None:
        if self._low < 0xFF000000 or self._low > _MASK:
            carry = self._low >> 32
            if self._started:
                self._out.append((self._cache + carry) & 0xFF)
            self._out.extend(bytes([(0xFF + carry) & 0xFF]) * self._pending)
            self._started, self._pending = True, 0
            self._cache = (self._low >> 24) & 0xFF
        else:
            self._pending += 1
        self._low = (self._low & 0x00FFFFFF) << 8


class RangeDecoder:
    """Decodes the bits that a :class:`RangeEncoder` wrote, in the same order and contexts.

    Args:
        data: the encoded bytes; read as if followed by zeros.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 4
        self._range = _MASK
        self._code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")

    def read(self, contexts: Contexts, at: int) -> int:
        """Decodes the next bit, 0 or 1, in the context ``at`` and updates its counts."""
        ones, total = contexts.ones[at], contexts.all[at]
        bound = self._range * ones // total
        if self._code < bound:
            bit, self._range = 1, bound
            ones += 2
        else:
            bit = 0
            self._code -= bound
            self._range -= bound
        total += 2
        if total > _MOST:
            ones, total = (ones >> 1) | 1, ((total >> 1) | 1) + 1
        contexts.ones[at], contexts.all[at] = ones, total
        while self._range < _TOP:
            self._range <<= 8
            self._code = self._code << 8 | self._byte()
        return bit

    def read_number(self, bits: int) -> int:
        """The next integer of ``bits`` bits, as :meth:`RangeEncoder.write_number` wrote it."""
        value = 0
        for _ in range(bits):
            self._range >>= 1
            bit = self._code >= self._range
            if bit:
                self._code -= self._range
            value = value << 1 | bit
            while self._range < _TOP:
                self._range <<= 8
                self._code = self._code << 8 | self._byte()
        return value

    def _byte(self) -> int:
        at = self._at
        self._at = at + 1
        return self._data[at] if at < len(self._data) else 0
