"""Errors of the command line that no other test comes to: files, verbs, runs."""

from __future__ import annotations

import pytest

from bmx.cli.main import main
from tests.toy_house import write

_X = "# @package _global_\ndefaults:\n  - override /"


@pytest.fixture
def said(capsys):
    def call(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        return code, capsys.readouterr().err.splitlines()

    return call


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (["lr=0.1", "train"], "'lr=0.1' is not a verb; the verb comes first", "write bmx train lr=0.1"),
        (["--cfg"], "'--cfg' is not a verb; the verb comes first", "write bmx train --cfg"),
        (["trian"], "no verb 'trian'", "did you mean train?"),
        (["help", "trian"], "no verb 'trian'", "did you mean train?"),
        (["completion"], "no shell is named", "bash"),
        (["completion", "bsh"], "no completion for 'bsh'", "bash"),
        (["runs", "lst"], "no sub-verb 'lst'", "bmx runs list"),
        (["runs", "list", "lmit=3"], "bmx runs list takes no 'lmit=3'", "limit="),
        (["runs", "list", "limit="], "limit has no value", "write limit=VALUE"),
        (["runs", "list", "limit=some"], "limit must be a whole number, not 'some'", "limit=20"),
        (["runs", "list", "outputs=nowhere"], "no folder 'nowhere'", "holds the run directories"),
        (["runs", "list", "verb=trian"], "no verb 'trian' that makes runs", "verb=train"),
    ],
)
def test_verbs_and_their_words(words, what, fix, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, lines = said(*words)
    assert code == 2 and len(lines) == 3
    assert what in lines[0] and fix in lines[2]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("files", "words", "what"),
    [
        ({"optim/sgd.yaml": "a: ["}, [], "is not valid YAML"),
        ({"optim/sgd.yaml": "a: \x00b"}, [], "YAML"),
        ({"optim/sgd.yaml": "# @package _global_\nlr: ${nothing}\noptim: {}\n"}, [], "refers to 'nothing'"),
        ({"experiment/x.yaml": "# @package _global_\ndefaults:\n  - override /optm: sgd\n"}, ["experiment=x"], "optm"),
        (
            {"experiment/x.yaml": "# @package _global_\ndefaults:\n  - override /optim: sgdd\n"},
            ["experiment=x"],
            "sgdd",
        ),
        ({}, ["--config-name", "trian"], "no root configuration 'trian'"),
        ({}, ["data.dir=${env:x}"], "env"),
        ({}, ["--cfg", "job", "-p", "nix"], "no key 'nix' to print"),
    ],
)
def test_files_of_configuration(house, files, words, what):
    write(house.conf, files)
    called = house("train", *words)
    lines = called.err.splitlines()
    assert called.code == 2, called
    assert 2 <= len(lines) <= 3
    assert what in lines[0]


def test_what_no_check_foresaw_is_told_too(house, monkeypatch):
    def broken(cfg):
        raise ZeroDivisionError("by zero")

    house.behave["check"] = broken
    called = house("train")
    assert called.code == 2  # the line is one of the user's own
    assert "ZeroDivisionError: by zero" in called.err and "test_explain.py, line" in called.err
    house.behave["check"] = lambda cfg: None
    house.behave["run"] = lambda cfg, run_dir: 1 / 0
    called = house("train")
    assert called.code == 1
    assert "the run failed: ZeroDivisionError" in called.err and "log.txt" in called.err


def test_bmxs_own_configuration_may_be_missing(monkeypatch, tmp_path):
    from bmx.config import folders
    from bmx.errors import UsageError

    monkeypatch.setattr(folders, "__file__", str(tmp_path / "bmx" / "config" / "folders.py"))
    with pytest.raises(UsageError, match="bmx's own configuration is missing"):
        folders.conf_dir()


def test_runs_that_cannot_be_taken_up(house):
    house("train", "name=a")
    (run,) = house.runs()
    (run / ".hydra" / "overrides.yaml").unlink()
    called = house("train", f"resume={run}")
    assert called.code == 2
    assert "did not keep the words" in called.err
    called = house("train", f"hydra.run.dir={run}")
    assert called.code == 2
    assert "already holds a run" in called.err
