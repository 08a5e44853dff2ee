"""Every error text of bmx is known by reading the sources; which of them tests make, ``pytest --error-texts`` tells."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bmx.errors import UsageError
from bmx.sweep.preflight import CannotRun, Problem
from tests.error_texts import REPOSITORY, made, sites


def test_all_of_them_are_known():
    found = sites()
    assert len(found) > 300
    assert {text.kind for text in found.values()} == {"BmxError", "UsageError", "RunFailed", "Interrupted", "CannotRun"}


def test_each_says_where():
    """The fact is not enough: where it was found belongs to it. What a signal stopped was stopped everywhere."""
    texts = {site: text for site, text in sites().items() if text.kind not in ("Interrupted", "CannotRun")}
    short = [site for site, text in texts.items() if len(text.arguments) < 2 and not text.arguments[0].startswith("*")]
    assert not short


def test_each_says_what_to_do():
    """A command that was wrong can be put right."""
    empty = ("''", "None")
    short = [
        site
        for site, text in sites().items()
        if text.kind == "UsageError"
        and not text.arguments[0].startswith("*")
        and (len(text.arguments) < 3 or text.arguments[2] in empty)
    ]
    assert not short


def test_what_a_test_makes_is_noted(tmp_path):
    from bmx.engine.checkpoints import Every

    with pytest.raises(UsageError):
        Every.parse("never")
    (site,) = (site for site, text in sites().items() if "a number of steps or a time" in "".join(text.arguments))
    assert site in made()


def test_what_a_process_makes_is_noted():
    """Also in a child that is started anew."""
    before = made()
    code = "from bmx.cli.main import main; import sys; sys.exit(main(['completion', 'nushell']))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=os.environ, cwd=REPOSITORY, check=False
    )
    assert done.returncode == 2
    (site,) = (site for site, text in sites().items() if "no completion for" in "".join(text.arguments))
    assert site in made() | before


def test_an_error_with_a_constructor_of_its_own_is_noted_where_it_is_made():
    CannotRun([Problem("x", UsageError("a", "b", "c"))], 1)
    line = CannotRun.__init__.__code__.co_firstlineno
    assert not any(site.file == "bmx/sweep/preflight.py" and line <= site.line <= line + 3 for site in made())
