"""Saves and restores the state of the calling process around a run, and serialises runs.

Intra-op threads, determinism, random states and the like belong to the process, not to a run: what one run sets must
affect neither the next run nor the calling program. Nothing is imported here; a library that is not loaded when a call
begins has no state yet.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

Undo = Callable[[], object]

# Two runs at once would draw from the same random streams, and neither could be repeated.
_running = threading.RLock()
# Global state of Hydra while a configuration is composed.
_composing = threading.RLock()

# Set once when Lightning is imported, and read when torch first profiles.
_FOR_GOOD = ("KINETO_LOG_LEVEL",)

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGPIPE", "SIGALRM")


@contextmanager
def one_run() -> Iterator[None]:
    """Context of one run: other threads that begin a run wait; process state is restored on exit."""
    with _running, kept():
        yield


@contextmanager
def composing() -> Iterator[None]:
    """Context in which other threads that compose a configuration wait."""
    with _composing:
        yield


@contextmanager
def kept() -> Iterator[None]:
    """Restores what a run may change in the process: see :func:`_saved`."""
    with ExitStack() as undone:
        for undo in _saved():
            undone.callback(_quietly, undo)
        with warnings.catch_warnings():
            yield


def _quietly(undo: Undo) -> None:
    with suppress(Exception):  # one failure to restore must not prevent the others
        undo()


def _saved() -> Iterator[Undo]:
    """Undo functions, one each for folder, arguments, import path, environment, signals, random states, torch."""
    with suppress(OSError):  # a folder that has been removed
        folder = os.getcwd()  # noqa: PTH109
        yield lambda: _back_to(folder)
    argv, arguments, path, folders = sys.argv, list(sys.argv), sys.path, list(sys.path)
    yield lambda: _set_lists(argv, arguments, path, folders)
    environment = dict(os.environ)
    yield lambda: _set_environment(environment)
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
        handlers = {number: signal.getsignal(number) for number in numbers}
        yield lambda: _set_signals(handlers)
    state = random.getstate()
    yield lambda: random.setstate(state)
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        drawn = numpy.random.get_state()
        yield lambda: numpy.random.set_state(drawn)
    torch: Any = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "backends"):  # not while it is partially imported
        yield from _saved_of_torch(torch)


def _saved_of_torch(torch: Any) -> Iterator[Undo]:
    threads = torch.get_num_threads()
    yield lambda: torch.get_num_threads() == threads or torch.set_num_threads(threads)
    exact, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    yield lambda: _set_exact(torch, exact, warn)
    fill = torch.utils.deterministic.fill_uninitialized_memory
    yield lambda: setattr(torch.utils.deterministic, "fill_uninitialized_memory", fill)
    dtype, precision = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    yield lambda: torch.set_default_dtype(dtype)
    yield lambda: torch.get_float32_matmul_precision() == precision or torch.set_float32_matmul_precision(precision)
    cudnn = torch.backends.cudnn
    flags = {name: getattr(cudnn, name) for name in ("enabled", "benchmark", "deterministic")}
    yield lambda: _set_flags(cudnn, flags)
    gradients, anomaly = torch.is_grad_enabled(), torch.is_anomaly_enabled()
    yield lambda: torch.set_grad_enabled(gradients)
    yield lambda: torch.is_anomaly_enabled() == anomaly or torch.autograd.set_detect_anomaly(anomaly)
    drawn = torch.get_rng_state()
    yield lambda: torch.set_rng_state(drawn)
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        streams = torch.cuda.get_rng_state_all()
        yield lambda: torch.cuda.set_rng_state_all(streams)


def _set_exact(torch: Any, exact: bool, warn: bool) -> None:
    now = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if now != (exact, warn):
        torch.use_deterministic_algorithms(exact, warn_only=warn)


def _back_to(folder: str) -> None:
    os.chdir(folder)


def _set_lists(argv: list[str], arguments: list[str], path: list[str], folders: list[str]) -> None:
    sys.argv, sys.path = argv, path
    argv[:], path[:] = arguments, folders


def _set_flags(module: Any, flags: dict[str, bool]) -> None:
    for name, flag in flags.items():
        if getattr(module, name) != flag:
            setattr(module, name, flag)


def _set_environment(before: dict[str, str]) -> None:
    for name in set(os.environ) - set(before) - set(_FOR_GOOD):
        del os.environ[name]
    for name, value in before.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _set_signals(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        # A handler not set from Python cannot be restored; as a rule it has not been changed from there either.
        if handler is not None and signal.getsignal(number) is not handler:
            with suppress(OSError, ValueError):
                signal.signal(number, handler)


def _free_in_child() -> None:
    # A child of a fork has one thread, which holds no lock yet.
    global _running, _composing
    _running, _composing = threading.RLock(), threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_in_child)
