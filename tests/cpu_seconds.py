"""`pytest --cpu=30`: the tests that take the most processor time, that of their child processes included.

Unlike the wall clock these numbers hardly depend on what else the machine does. A fixture that several tests share is
counted for the test that needed it first.
"""

from __future__ import annotations

import os
import resource
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

_seconds: dict[str, float] = defaultdict(float)
_before = 0.0
_file: str | None = None
_read = 0
_elsewhere = 0.0
KEY = "BMX_TEST_CPU"
"""The environment variable with the file in which processes report that are no children of this one."""


def report() -> None:
    """Has a forked process, about to end, tell what it has used, with the children it has waited for."""
    if os.environ.get(KEY):
        with suppress(OSError), Path(os.environ[KEY]).open("a") as file:
            file.write(f"{_used()}\n")


def _used() -> float:
    """User and system seconds of this process and of the children it has waited for."""
    mine, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return mine.ru_utime + mine.ru_stime + children.ru_utime + children.ru_stime


def _spent() -> float:
    """The same, with what was reported."""
    global _elsewhere, _read
    if _file is not None and Path(_file).exists():
        reported = Path(_file).read_text()
        whole = reported[_read : reported.rfind("\n") + 1]
        _read += len(whole)
        _elsewhere += sum(map(float, whole.split()))
    return _used() + _elsewhere


def pytest_configure(config: pytest.Config) -> None:
    global _file
    if not config.getoption("--cpu"):
        return
    _file = os.environ[KEY] = tempfile.mkstemp(prefix="bmx-cpu-")[1]


def pytest_unconfigure(config: pytest.Config) -> None:
    if _file is not None:
        Path(_file).unlink(missing_ok=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cpu", type=int, default=0, metavar="N", help="print the N tests that take most processor time")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logstart() -> None:
    global _before
    _before = _spent()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[Any]:
    global _before
    report = yield
    now = _spent()
    # An attribute of the report: under pytest-xdist it travels from the worker to the process that prints.
    report.cpu_seconds = now - _before
    _before = now
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[report.nodeid] += getattr(report, "cpu_seconds", 0.0)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    wanted = config.getoption("--cpu")
    if not wanted or not _seconds:
        return
    files: dict[str, float] = defaultdict(float)
    for name, seconds in _seconds.items():
        files[name.partition("::")[0]] += seconds
    terminalreporter.section(f"{sum(_seconds.values()):.0f} seconds of processor time in {len(_seconds)} tests")
    for counted in (files, _seconds):
        for name, seconds in sorted(counted.items(), key=lambda item: -item[1])[:wanted]:
            terminalreporter.write_line(f"{seconds:8.1f} s  {name}")
        terminalreporter.write_line("")
