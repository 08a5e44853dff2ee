"""A short name for the exact contents of a data set, so that two runs can be known to have seen the same data."""

from __future__ import annotations

import hashlib
import json

import torch

from bmx.data.arrays import Source

# Samples hashed at once, which bounds the memory where they are read from disk.
_CHUNK = 4096


def marks(source: Source) -> tuple[str, ...]:
    """The hash of a source after its spec, its training inputs and targets, its test inputs and targets: five of them.

    The last one is its fingerprint. Where two sources differ, the first mark that does says in what; what comes after
    that is not known to differ.
    """
    # 8 bytes are 16 characters: enough to tell data sets apart, not meant to withstand an attacker.
    digest = hashlib.blake2b(json.dumps(source.spec.to_dict(), sort_keys=True).encode(), digest_size=8)
    found = [digest.hexdigest()]
    for arrays in (source.train, source.test):
        for tensor in (arrays.inputs, arrays.targets):
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            # As bytes: numpy has no bfloat16, and an empty tensor has no buffer to show.
            for part in tensor.split(_CHUNK) if tensor.numel() else ():
                digest.update(part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
            found.append(digest.hexdigest())
    return tuple(found)


def fingerprint(source: Source) -> str:
    """A hash of a source's arrays and spec: 16 hexadecimal characters, the same on every machine of one byte order.

    It reads every byte (about 1 GB a second) and does not depend on how the training set is split afterwards.
    """
    return marks(source)[-1]
