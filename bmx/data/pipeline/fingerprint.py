"""Fingerprint of a data set: a content hash that shows whether two runs used the same data."""

from __future__ import annotations

import hashlib
import json

import torch

from bmx.data.arrays import Source

# Samples hashed at once, which bounds the memory where they are read from disk.
_CHUNK = 4096


def marks(source: Source) -> tuple[str, ...]:
    """Five cumulative hashes: after the spec, training inputs, training targets, test inputs and test targets.

    The last one is the fingerprint. The first hash in which two sources differ shows the part that does; later parts
    may be equal.
    """
    # 8 bytes are 16 characters: enough to distinguish data sets, not meant to withstand an attacker.
    digest = hashlib.blake2b(json.dumps(source.spec.to_dict(), sort_keys=True).encode(), digest_size=8)
    found = [digest.hexdigest()]
    for arrays in (source.train, source.test):
        for tensor in (arrays.inputs, arrays.targets):
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            # As bytes: numpy has no bfloat16, and an empty tensor has no buffer.
            for part in tensor.split(_CHUNK) if tensor.numel() else ():
                digest.update(part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
            found.append(digest.hexdigest())
    return tuple(found)


def fingerprint(source: Source) -> str:
    """Content hash of a source's arrays and spec: 16 hex digits, the same on every machine of one byte order.

    It reads every byte (about 1 GB a second) and does not depend on how the training set is split afterwards.
    """
    return marks(source)[-1]
