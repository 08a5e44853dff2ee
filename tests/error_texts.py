"""Which error texts of bmx the tests make: a plugin of pytest that counts them, ``pytest --error-texts``.

Always noted, which costs nothing that could be measured; told, and missed, only where the option is given.
"""

from __future__ import annotations

import ast
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
_NOTES = Path(__file__).parent / "told"
sys.path.append(str(_NOTES))

import error_notes  # noqa: E402


class Site(NamedTuple):
    """Where an error is made."""

    file: str
    line: int
    column: int


class Text(NamedTuple):
    """What stands there: the class, and the source of what, where and what to do."""

    kind: str
    arguments: tuple[str, ...]

    @property
    def shown(self) -> str:
        return f"{self.kind}: {self.arguments[0][:90] if self.arguments else ''}"


def sites(root: Path = REPOSITORY) -> dict[Site, Text]:
    """Every place in the sources that makes an error for a user."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in _sources(root)}
    kinds = {"BmxError"}
    grown = True
    while grown:
        named = {
            node.name
            for tree in trees.values()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef) and any(isinstance(b, ast.Name) and b.id in kinds for b in node.bases)
        }
        grown = not named <= kinds
        kinds |= named
    found = {}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds:
                given = [*node.args, *(keyword.value for keyword in node.keywords)]
                text = Text(node.func.id, tuple(ast.unparse(argument) for argument in given))
                found[Site(str(path.relative_to(root)), node.lineno, node.col_offset)] = text
    return found


def made() -> set[Site]:
    """The places that this run of tests has come to so far, in all its processes."""
    notes = Path(os.environ[error_notes.VARIABLE]) / "notes"
    lines = notes.read_text().split() if notes.exists() else []
    parts = (line.rsplit(":", 2) for line in lines)
    return {Site(file, int(line), int(column)) for file, line, column in parts}


def _sources(root: Path) -> Iterator[Path]:
    for package in ("bmx", "hydra_plugins"):
        yield from sorted((root / package).rglob("*.py"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--error-texts", action="store_true", help="tell which error texts no test has made, and fail if there is one"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Before anything of bmx is imported; workers of xdist inherit the folder of the run that starts them."""
    if error_notes.VARIABLE not in os.environ:
        os.environ[error_notes.VARIABLE] = tempfile.mkdtemp(prefix="bmx-error-notes-")
        path = os.environ.get("PYTHONPATH", "")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [path, str(_NOTES)]))
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(error_notes.VARIABLE), ignore_errors=True))
    error_notes.watch()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--error-texts") and not hasattr(session.config, "workerinput") and missed():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--error-texts"):
        return
    known, left = sites(), missed()
    terminalreporter.section(f"{len(known)} error texts, {len(known) - len(left)} made by these tests")
    for site in left:
        terminalreporter.line(f"{site.file}:{site.line}  {known[site].shown}")


def missed() -> list[Site]:
    """The places that no test of this run has come to."""
    return sorted(set(sites()) - made())
