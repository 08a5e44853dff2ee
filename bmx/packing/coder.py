"""A binary arithmetic coder that learns its probabilities while it codes.

Every decision belongs to a context, which counts the zeros and ones it has seen; the estimate is that of Krichevsky &
Trofimov 1981, ``(ones + ½) / (all + 1)``. The range is coded as LZMA does it, a byte at a time, with carries. All of it
is whole numbers, so any machine decodes what any other has coded.
"""

from __future__ import annotations

_TOP = 1 << 24
_MASK = 0xFFFFFFFF
# Counts are halved at this sum, so that a context follows data that change.
_MOST = 1 << 12


class Contexts:
    """The counts of a family of contexts.

    Args:
        count: contexts are numbered from 0 to ``count - 1``.
    """

    __slots__ = ("all", "ones")

    def __init__(self, count: int) -> None:
        # Twice the number of ones, and of all, plus the halves of the estimate.
        self.ones = [1] * count
        self.all = [2] * count


class RangeEncoder:
    """Writes decisions; ``finish`` gives the bytes."""

    def __init__(self) -> None:
        self._low = 0
        self._range = _MASK
        self._cache = 0
        self._pending = 0  # bytes 0xFF behind the cached one that a carry would still change
        self._started = False
        self._out = bytearray()

    def write(self, contexts: Contexts, at: int, bit: bool | int) -> None:
        """Codes a decision in the context ``at``, which learns from it."""
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
        """Writes a number from 0 to ``2**bits - 1`` as it is."""
        for place in range(bits - 1, -1, -1):
            self._range >>= 1
            if value >> place & 1:
                self._low += self._range
            while self._range < _TOP:
                self._range <<= 8
                self._shift()

    def finish(self) -> bytes:
        """Everything that was written; the decoder takes the zeros at the end as read."""
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
    """Reads the decisions that an :class:`RangeEncoder` wrote, in the same order and contexts.

    Args:
        data: the bytes; zeros follow behind their end.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 4
        self._range = _MASK
        self._code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")

    def read(self, contexts: Contexts, at: int) -> int:
        """The next decision, 0 or 1, which was coded in the context ``at``."""
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
        """The next number of ``bits`` bits."""
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
