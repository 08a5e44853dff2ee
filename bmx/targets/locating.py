"""Resolves a dotted name part by part, and reports which part is wrong and why."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from bmx import extras
from bmx.errors import UsageError, nearest
from bmx.targets.blame import described, user_line


class NotImported(Exception):
    """Importing a module would be required but is not allowed."""


def find(name: str, where: str, may_import: Callable[[str], bool] = lambda module: True) -> Any:
    """The object of a dotted name; imports modules only as far as needed.

    Args:
        name: such as ``torch.nn.Linear``.
        where: the key whose value it is, for messages.
        may_import: whether a module may be imported.

    Raises:
        NotImported: the name needs a module that may not be imported.
        UsageError: a part of it does not exist, with the nearest names; or the import of a module fails, with the line
            of the user's that failed.
    """
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        fix = "write the full dotted path of a class or function, as in my_net.Net"
        raise UsageError(f"'{name}' is no name of a class or function", where, fix)
    found: Any = imported(parts[0], where, may_import)
    for number, part in enumerate(parts[1:], 1):
        above = ".".join(parts[:number])
        try:
            found = getattr(found, part)
        except AttributeError:
            inner = imported(f"{above}.{part}", where, may_import) if isinstance(found, ModuleType) else None
            if inner is None:
                raise _no_such(above, part, found, where) from None
            found = inner
        except Exception as error:  # a module with lazy attributes, which fails
            raise _failed(above, where, error) from error
    return found


def imported(module: str, where: str, may_import: Callable[[str], bool] = lambda module: True) -> Any:
    """Imports a module; None where its package has no such module.

    Raises:
        NotImported: it may not be imported.
        UsageError: there is no such package, or the import fails.
    """
    if not may_import(module):
        raise NotImported(module)
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing == module or module.startswith(f"{missing}."):
            if "." in module:
                return None
            raise _no_package(module, where) from error
        raise _failed(module, where, error) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: of a script without a main guard
        raise _failed(module, where, error) from error


def _no_package(package: str, where: str) -> UsageError:
    extra = extras.extra_of(package)
    if extra:
        return UsageError(f"the package {package} is not installed", where, extras.install(extra))
    near = nearest(package, [*_modules_here(), *sys.modules])[:2]
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    fix = f"{meant}put {package}.py into {Path.cwd()}, or install the package that has it"
    return UsageError(f"there is no module '{package}'", where, fix)


def _modules_here() -> list[str]:
    return [path.stem for path in Path.cwd().glob("*.py")]


def _no_such(above: str, part: str, inside: Any, where: str) -> UsageError:
    names = [name for name in dir(inside) if not name.startswith("_")]
    close = nearest(part, names)
    file = getattr(inside, "__file__", None)
    mine = Path.cwd() / f"{above}.py"
    if file and mine.is_file() and mine.resolve() != Path(file).resolve():
        fix = "give your file a name that no other module has"
        return UsageError(f"'{above}' is {file} and not your {mine.name}, and has no '{part}'", where, fix)
    fix = f"did you mean {' or '.join(f'{above}.{name}' for name in close)}?" if close else ""
    return UsageError(f"'{above}' has no '{part}'", where, fix or f"see what there is in {file or above}")


def _failed(module: str, where: str, error: BaseException) -> UsageError:
    """The error of a module that exists but fails to import."""
    line = user_line(error)
    at = f"{where}; {line}" if line is not None else where
    if isinstance(error, SyntaxError):
        return UsageError(f"'{module}' is not valid Python: {error.msg}", at, "mend that line")
    if isinstance(error, ModuleNotFoundError) and error.name:
        root = error.name.partition(".")[0]
        extra = extras.extra_of(root)
        fix = extras.install(extra) if extra else f"install {root}, or mend the import"
        return UsageError(f"'{module}' imports '{error.name}', which is not there", at, fix)
    if isinstance(error, SystemExit):
        what = f"'{module}' ends the program when it is imported"
        return UsageError(what, at, "put what it does under `if __name__ == '__main__':`")
    fix = "mend that line" if line is not None else f"try it: python -c 'import {module}'"
    return UsageError(f"'{module}' cannot be imported: {described(error)}", at, fix)
