"""Configures glibc's malloc to retain freed memory, which saves page faults in every training step."""

from __future__ import annotations

import ctypes
import os
import sys

# Numbers of mallopt(3), from malloc.h of glibc.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_KEPT = 1 << 30  # bytes of freed memory at the end of the heap that are retained
_GROWN_BY = 16 << 20
_MAPPED_FROM = 32 << 20  # the most that glibc allows

# A user who sets one of these has configured malloc already.
CHOSEN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES", "LD_PRELOAD")


def keep_freed_memory() -> bool:
    """Makes glibc's malloc retain freed memory instead of returning it to the system; returns whether it was set.

    A training step frees what the next one allocates. By its defaults glibc may return that memory and request it
    again in every step, and each page then costs a fault: for LeNet-5 some 600 a step, a tenth of its time. With
    another C library, and where the environment configures malloc, nothing is changed.
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
