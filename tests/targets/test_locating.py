"""Dotted names are found part by part, and what is wrong with one is told where it is wrong."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmx.errors import UsageError
from bmx.targets.blame import user_line
from bmx.targets.locating import NotImported, find


@pytest.mark.parametrize("name", ["json", "json.loads", "json.decoder.JSONDecoder", "xml.etree.ElementTree.parse"])
def test_a_name_is_what_python_means_by_it(name):
    import importlib

    module, _, last = name.rpartition(".")
    expected = getattr(importlib.import_module(module), last) if module else importlib.import_module(name)
    assert find(name, "here") is expected


@given(st.text())
def test_any_text_is_found_or_refused(text):
    """Whatever is written: an object, or three lines; never another exception."""
    try:
        find(text, "here", lambda module: module in sys.modules)
    except UsageError as error:
        assert 2 <= len(error.lines()) <= 3 and all("\n" not in line for line in error.lines() if text.isidentifier())
    except NotImported:
        pass


def test_nothing_is_imported_that_may_not_be(tmp_path, monkeypatch):
    (tmp_path / "loud_of_test.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(NotImported):
        find("loud_of_test.Net", "here", lambda module: False)
    with pytest.raises(UsageError, match="ends the program"):
        find("loud_of_test.Net", "here")


def test_the_innermost_line_of_ones_own_is_blamed(tmp_path, monkeypatch):
    (tmp_path / "blamed_of_test.py").write_text("import json\n\n\ndef inner(x):\n    return json.loads(x)\n")
    (tmp_path / "blaming_of_test.py").write_text(
        "from blamed_of_test import inner\n\n\ndef outer():\n    try:\n        inner('{')\n"
        "    except ValueError as error:\n        raise KeyError('x') from error\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import blaming_of_test

    with pytest.raises(KeyError) as raised:
        blaming_of_test.outer()
    line = user_line(raised.value)
    assert line is not None
    assert (line.number, line.function, line.text) == (5, "inner", "return json.loads(x)")
    assert line.file.endswith("blamed_of_test.py") and str(line).endswith("in inner: return json.loads(x)")


def test_an_error_of_bmx_or_of_python_is_nobodys():
    try:
        exec("1 / 0")
    except ZeroDivisionError as error:
        inner = error.__traceback__.tb_next
        assert user_line(error.with_traceback(inner)) is None
