"""Memory that is freed and soon wanted again stays with the process."""

from __future__ import annotations

import ctypes
import os
import sys

# Numbers of mallopt(3), from malloc.h of glibc.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_KEPT = 1 << 30  # so much freed memory at the end of the heap is not given back
_GROWN_BY = 16 << 20
_MAPPED_FROM = 32 << 20  # the most that glibc allows

# Whoever sets one of these has chosen already.
CHOSEN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES", "LD_PRELOAD")


def keep_freed_memory() -> bool:
    """Tells glibc's malloc not to give freed memory back to the system after each use; whether it was told.

    A training step frees what the next one allocates. By its defaults glibc may hand that memory back and ask for it
    again in every step, and each page then costs a fault: for LeNet-5 some 600 a step, a tenth of its time. Elsewhere
    than on glibc, and where the environment sets up malloc, nothing is changed.
    """
    if not sys.platform.startswith("linux") or any(os.environ.get(name) for name in CHOSEN):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    settings = ((_TRIM_THRESHOLD, _KEPT), (_TOP_PAD, _GROWN_BY), (_MMAP_THRESHOLD, _MAPPED_FROM))
    told = [mallopt(what, value) for what, value in settings]
    return all(told)
