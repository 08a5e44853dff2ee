"""Bit-exact serialisation of tensors, each in the most compact of three forms.

* ``shared``: few different values (pruned, clustered or quantised weights): nonzero mask, codebook, and a codebook
  index for each entry, all arithmetically coded.
* ``sparse``: many zeros, any values: the coded nonzero mask; the values as they are.
* ``plain``: the numbers as they are.

Numbers that are stored as they are go into one block with their bytes sorted by significance, which lzma or zlib then
makes smaller if it can. Names, shapes and dtypes are not stored: the reader has them from the model.
"""

from __future__ import annotations

import lzma
import math
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bmx.packing.coder import Contexts, RangeDecoder, RangeEncoder
from bmx.packing.maps import read_map, write_map

Numbers = NDArray[Any]  # the bits of a tensor as unsigned integers

_PLAIN, _SPARSE, _SHARED = range(3)
# Beyond this many coded bits, a minute or so of Python, tensors are left to lzma.
_MOST_DECISIONS = 60_000_000
_MOST_VALUES = 256
_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
# Above this many bytes lzma, which takes a second for one or two million, is not tried.
_LITTLE = 8_000_000
_LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 6}]


def encode(tensors: Iterable[Tensor]) -> bytes:
    """Serialises tensors; :func:`decode` needs their shapes and dtypes in the same order."""
    encoder, plain = RangeEncoder(), bytearray()
    for tensor in tensors:
        _write(encoder, plain, tensor)
    coded, block = encoder.finish(), _squeeze(bytes(plain))
    return len(coded).to_bytes(5, "little") + coded + block


def decode(data: bytes, like: Iterable[Tensor]) -> list[Tensor]:
    """Restores the tensors that :func:`encode` serialised.

    Args:
        data: the bytes it returned.
        like: tensors of their shapes and dtypes, in order; may be on the meta device.

    Raises:
        ValueError: the bytes are not of such tensors.
    """
    length = int.from_bytes(data[:5], "little")
    decoder = RangeDecoder(data[5 : 5 + length])
    try:
        plain = memoryview(_unsqueeze(data[5 + length :]))
        tensors = []
        for tensor in like:
            found, plain = _read(decoder, plain, tensor)
            tensors.append(found)
    except (ValueError, IndexError, lzma.LZMAError, zlib.error) as error:
        raise ValueError(f"the coded tensors cannot be read: {error}") from error
    if len(plain):
        raise ValueError("the coded tensors are of another model: some bytes are left over")
    return tensors


# -- one tensor ------------------------------------------------------------------------------------------------------


def _write(encoder: RangeEncoder, plain: bytearray, tensor: Tensor) -> None:
    numbers = _numbers(tensor)
    form, values = _best_form(numbers)
    encoder.write_number(form, 2)
    if form == _PLAIN:
        plain += _by_significance(numbers)
        return
    places = numbers != 0
    has_zeros = not bool(places.all())
    encoder.write_number(has_zeros, 1)
    if has_zeros:
        write_map(encoder, _matrix(places, tensor.shape))
    if form == _SPARSE:
        plain += _by_significance(numbers[places])
    else:
        _write_shared(encoder, numbers[places], values, tensor.dtype)


def _read(decoder: RangeDecoder, plain: memoryview, like: Tensor) -> tuple[Tensor, memoryview]:
    width, size = like.element_size(), like.numel()
    form = decoder.read_number(2)
    if form == _PLAIN:
        return _tensor(_from_significance(plain[: width * size], width, size), like), plain[width * size :]
    if decoder.read_number(1):
        places = read_map(decoder, *_sides(like.shape)).reshape(-1)
    else:
        places = np.ones(size, dtype=bool)
    numbers, count = np.zeros(size, dtype=f"<u{width}"), int(places.sum())
    if form == _SPARSE:
        numbers[places] = _from_significance(plain[: width * count], width, count)
        plain = plain[width * count :]
    elif form == _SHARED:
        numbers[places] = _read_shared(decoder, count, like.dtype)
    else:
        raise ValueError("a tensor has an unknown form")
    return _tensor(numbers, like), plain


def _best_form(numbers: Numbers) -> tuple[int, Numbers]:
    """The form with the fewest bits, by its entropy, and the distinct nonzero values where these are few."""
    size, width = numbers.size, 8 * numbers.itemsize
    nonzero = numbers[numbers != 0]
    filled = nonzero.size
    share = filled / size if size else 0.0
    bits_of_map = -size * sum(p * math.log2(p) for p in (share, 1 - share) if p > 0)
    bits = {_PLAIN: float(size * width)}
    if size <= _MOST_DECISIONS:
        bits[_SPARSE] = bits_of_map + filled * width
    values = nonzero[:0]
    # A sample of them spares sorting all where there are too many distinct values.
    if len(np.unique(nonzero[:4096])) <= _MOST_VALUES:
        values, counts = np.unique(nonzero, return_counts=True)
        labels = max(1, (len(values) - 1).bit_length())
        if len(values) <= _MOST_VALUES and size + filled * labels <= _MOST_DECISIONS:
            bits_of_labels = -float((counts * np.log2(counts / filled)).sum()) if filled else 0.0
            bits[_SHARED] = bits_of_map + bits_of_labels + len(values) * width
    return min(bits, key=lambda form: bits[form]), values


# -- few values ------------------------------------------------------------------------------------------------------


def _write_shared(encoder: RangeEncoder, numbers: Numbers, values: Numbers, dtype: torch.dtype) -> None:
    """Writes the codebook in ascending order, then the index of each number, bit by bit from the highest."""
    encoder.write_number(len(values), 9)
    book, width = values, 8 * values.itemsize
    if dtype == torch.float32:
        with np.errstate(over="ignore"):
            halves = values.view("<f4").astype("<f2")
        fits = bool(np.array_equal(halves.astype("<f4").view("<u4"), values))
        encoder.write_number(fits, 1)
        if fits:
            book, width = halves.view("<u2"), 16
    for value in book.tolist():
        encoder.write_number(value, width)
    bits, contexts, write = _label_bits(len(values)), Contexts(_MOST_VALUES), encoder.write
    for label in np.searchsorted(values, numbers).tolist():
        node = 1
        for place in range(bits - 1, -1, -1):
            bit = label >> place & 1
            write(contexts, node, bit)
            node = node << 1 | bit


def _read_shared(decoder: RangeDecoder, count: int, dtype: torch.dtype) -> Numbers:
    size, width = decoder.read_number(9), 8 * dtype.itemsize
    halves = dtype == torch.float32 and bool(decoder.read_number(1))
    book = [decoder.read_number(16 if halves else width) for _ in range(size)]
    if halves:
        values: Numbers = np.array(book, dtype="<u2").view("<f2").astype("<f4").view("<u4")
    else:
        values = np.array(book, dtype=f"<u{width // 8}")
    bits, contexts, read, labels = _label_bits(size), Contexts(_MOST_VALUES), decoder.read, []
    top = 1 << bits
    for _ in range(count):
        node = 1
        while node < top:
            node = node << 1 | read(contexts, node)
        labels.append(node - top)
    if labels and max(labels) >= size:
        raise ValueError("a value is missing in a codebook")
    return values[labels] if labels else values[:0]


def _label_bits(values: int) -> int:
    return max(0, values - 1).bit_length()


# -- bits and bytes --------------------------------------------------------------------------------------------------


def _numbers(tensor: Tensor) -> Numbers:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    if flat.dtype == torch.bool:
        flat = flat.to(torch.uint8)
    if flat.is_complex():
        raise ValueError("complex tensors cannot be packed")
    whole = flat.view(_WHOLE[flat.element_size()]).numpy()
    return whole.astype(whole.dtype.newbyteorder("<"), copy=False).view(f"<u{flat.element_size()}")


def _tensor(numbers: Numbers, like: Tensor) -> Tensor:
    signed = numbers.astype(numbers.dtype.newbyteorder("="), copy=False)
    signed = signed if like.element_size() == 1 else signed.view(f"i{like.element_size()}")
    flat = torch.from_numpy(np.ascontiguousarray(signed).copy())
    return (flat.bool() if like.dtype == torch.bool else flat.view(like.dtype)).view(like.shape)


def _matrix(places: NDArray[np.bool_], shape: torch.Size) -> NDArray[np.bool_]:
    return places.reshape(_sides(shape))


def _sides(shape: torch.Size) -> tuple[int, int]:
    """Rows and columns of the matrix as which a tensor is coded."""
    return (shape[0], math.prod(shape[1:])) if len(shape) > 1 else (1, math.prod(shape))


def _by_significance(numbers: Numbers) -> bytes:
    return numbers.view(np.uint8).reshape(-1, numbers.itemsize).T.tobytes()


def _from_significance(data: memoryview, width: int, count: int) -> Numbers:
    if len(data) != width * count:
        raise ValueError("it ends too early")
    planes = np.frombuffer(data, dtype=np.uint8).reshape(width, count)
    numbers: Numbers = np.ascontiguousarray(planes.T).reshape(-1).view(f"<u{width}")
    return numbers


def _squeeze(data: bytes) -> bytes:
    """The shortest of the raw, zlib and lzma forms of the data, after a byte that identifies it."""
    little = len(data) <= _LITTLE
    forms = [b"\0" + data, b"\1" + zlib.compress(data, 9 if little else 1, wbits=-15)]
    if little:
        forms.append(b"\2" + lzma.compress(data, format=lzma.FORMAT_RAW, filters=_LZMA))
    return min(forms, key=len)


def _unsqueeze(data: bytes) -> bytes:
    form, rest = data[:1], data[1:]
    if form == b"\0":
        return rest
    if form == b"\1":
        return zlib.decompress(rest, wbits=-15)
    if form == b"\2":
        return lzma.decompress(rest, format=lzma.FORMAT_RAW, filters=_LZMA)
    raise ValueError("a block has an unknown form")


def total_bytes(state: Mapping[str, Tensor]) -> int:
    """Size in bytes of a packed state dict."""
    return len(encode(state.values()))
