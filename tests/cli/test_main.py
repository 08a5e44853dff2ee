"""bmx without a verb, with a wrong one, and the flags that need none."""

import subprocess
import sys

import pytest

from bmx import __version__
from bmx.cli.main import main
from bmx.config import verbs
from bmx.config.overrides import rewrite_aliases
from bmx.config.verbs import VERBS
from bmx.targets.entry_point import locate


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_the_front_page_names_every_verb(arguments, capsys):
    assert main(arguments) == 0
    out = capsys.readouterr().out
    for name, verb in verbs.VERBS.items():
        assert f"  {name} " in out and verb.help in out
    assert "examples:" in out and "--debug" in out


@pytest.mark.parametrize("arguments", [["--version"], ["train", "--version"]])
def test_version(arguments, capsys):
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"bmx {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tran"], "did you mean train?"),
        (["evalute", "run=latest"], "did you mean evaluate?"),
        (["model=lenet5", "train"], "write bmx train model=lenet5"),
        (["-m", "lr=1,2"], "write bmx train -m lr=1,2"),
        (["zzzzzz"], f"choose one of: {', '.join(VERBS)}"),
    ],
)
def test_a_wrong_verb_is_told_in_three_lines(arguments, says, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 3
    assert says in said.err


def test_debug_shows_the_traceback_of_an_error(capsys):
    assert main(["tran", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_verbs_without_a_configuration_have_help(capsys):
    assert main(["runs", "--help"]) == 0
    assert "bmx runs list" in capsys.readouterr().out


def test_an_unforeseen_error_is_two_lines(capsys, monkeypatch):
    monkeypatch.setitem(verbs.VERBS, "runs", verbs.VERBS["runs"]._replace(target="bmx.config.suggestions:near"))
    assert main(["runs", "list"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err and "--debug" in err and len(err.splitlines()) == 2


@pytest.mark.parametrize("name", ["runs", "completion"])
def test_targets_of_plain_verbs_exist(name):
    assert callable(locate(verbs.VERBS[name].target))


def test_alias_words_are_rewritten_and_nothing_else():
    aliases = {"teacher": "model@teacher"}
    words = ["teacher=mlp", "+teacher=mlp", "teacher.width=3", "teachers=1", "teacher=a,b", "x=teacher=1"]
    written = rewrite_aliases(words, aliases)
    assert written == ["model@teacher=mlp", "+model@teacher=mlp", *words[2:4], "model@teacher=a,b", words[5]]


def test_the_front_page_imports_next_to_nothing():
    """It is to come at once, which a clock on a busy machine cannot tell; what is imported can."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "bmx", "--help"], capture_output=True, text=True, check=True
    )
    assert "usage: bmx VERB" in done.stdout
    bare = subprocess.run([sys.executable, "-X", "importtime", "-c", ""], capture_output=True, text=True, check=True)
    imported, already = (
        {line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if line.startswith("import time:")}
        for run in (done, bare)
    )
    own = imported - already
    outside = {name.partition(".")[0] for name in own} - set(sys.stdlib_module_names)
    assert outside == {"bmx"} and len(own) < 60, sorted(own)


def test_a_reader_that_leaves_early_is_no_error():
    command = f"{sys.executable} -m bmx --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
