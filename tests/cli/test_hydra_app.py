"""What no check foresaw, in bmx or in Hydra: one line of what happened, and how to see the rest."""

from functools import partial
from operator import truediv

from bmx.cli.main import main

WORDS = ["train", "data=iris", "model=mlp", "epochs=1", "plots=false"]


def test_a_bug_inside_a_check_is_bmxs_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # No line of the user's own: it fails where bmx itself calls it.
    monkeypatch.setattr("bmx.verbs.train.command.prepare", partial(truediv, 1))
    assert main(WORDS) == 1
    said = capsys.readouterr().err
    assert "checking the configuration failed: TypeError: unsupported operand" in said
    assert "--debug" in said.partition("do:")[2]
    assert not (tmp_path / "outputs").exists()
    assert main([*WORDS, "--debug"]) == 1
    assert "in check" in capsys.readouterr().err


def test_hydra_that_breaks_before_the_run_is_no_wrong_command(tmp_path, monkeypatch, capsys):
    def broken(**arguments):
        raise RuntimeError("no job today")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hydra._internal.hydra.run_job", broken)
    assert main(WORDS) == 1
    said = capsys.readouterr().err
    assert "RuntimeError: no job today" in said and "--debug" in said.partition("do:")[2]
