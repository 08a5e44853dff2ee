"""Integer products as x86 without VNNI has them, and a process for which this processor is such a one."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np

# CPUID without AVX-512, AVX-VNNI and AMX: Linux lets a process have the instruction fault (arch_prctl(2),
# ARCH_SET_CPUID) where the processor can, and what the handler then answers is what libraries choose their kernels by.
_MASK = r"""
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static void handler(int signal_number, siginfo_t *info, void *context) {
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    unsigned char *at = (unsigned char *)r[REG_RIP];
    unsigned leaf = r[REG_RAX], sub = r[REG_RCX], a, b, c, d;
    if (at[0] != 0x0f || at[1] != 0xa2) { signal(SIGSEGV, SIG_DFL); return; }
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(sub));
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
    if (leaf == 7 && sub == 0) {
        b &= ~(1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31);
        c &= ~(1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14);
        d &= ~(1u << 22 | 1u << 23 | 1u << 24 | 1u << 25);
    }
    if (leaf == 7 && sub == 1) { a &= ~(1u << 4 | 1u << 5); d = 0; }
    r[REG_RAX] = a; r[REG_RBX] = b; r[REG_RCX] = c; r[REG_RDX] = d; r[REG_RIP] += 2;
}

__attribute__((constructor)) static void begin(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGSEGV, &action, 0);
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
}
"""


def saturating(inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Products (N, O) of inputs (N, I) in 0 … 255 and weights (O, I) in -128 … 127, as `vpmaddubsw` and `vpmaddwd` do.

    Each two neighbours are added in 16 bits, which cut off what is too large; these sums are added in 32.
    """
    odd = inputs.shape[1] % 2
    x = np.pad(inputs.astype(np.int64), ((0, 0), (0, odd)))
    w = np.pad(weights.astype(np.int64), ((0, 0), (0, odd)))
    pairs = (x[:, None] * w[None]).reshape(len(x), len(w), -1, 2).sum(-1)
    return pairs.clip(-(2**15), 2**15 - 1).sum(-1)


def exact(inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The same products as they should be."""
    return inputs.astype(np.int64) @ weights.astype(np.int64).T


def can_hide_instructions() -> bool:
    """Whether the processor lets a process be told another set of instructions."""
    if platform.machine() != "x86_64" or not Path("/proc/cpuinfo").exists():
        return False
    return " cpuid_fault " in Path("/proc/cpuinfo").read_text()


def without_vnni(program: str, folder: Path, *arguments: str) -> str:
    """What a Python program prints in a process that takes this processor for one with AVX2 and nothing later."""
    source, library = folder / "mask.c", folder / "mask.so"
    source.write_text(_MASK)
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, source], check=True, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
