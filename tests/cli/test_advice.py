"""What an error advises is done, and works: the command after it is right."""

from __future__ import annotations

import re

import pytest

from bmx.cli.main import main

_WORDS = ["data=iris", "model=mlp", "epochs=1", "plots=false"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "advised"),
    [
        ("model.hidden=8,4", r"write (model\.hidden=\[8,4\]) for a list"),
        ("logger=csv,tensorboard", r"write (logger=\[csv,tensorboard\]) for a list"),
        ("epochs=", r"such as (epochs=\d+)"),
        ("epochs=ten", r"write (epochs=\d+)"),
        ("lr=fast", r"write (lr=\S+)|(lr=auto)"),
        ("seed=-1", r"write (seed=\d+)"),
        ("batch_size=ful", r"did you mean (batch_size=full)"),
        ("device=cdua", r"did you mean (device=c\w+)"),
        ("precision=bf16", r"(precision=bf16-mixed)"),
        ("outputs=", r"such as (outputs=\w+)"),
        ("name=", r"such as (name=\w+)"),
        ("optim=adma", r"did you mean (optim=\w+)"),
        ("optim.momentun=0.5", r"did you mean (optim\.momentum)"),
        ("checkpoint.every=often", r"write (checkpoint\.every=\S+)"),
        ("trainer.clip_norm=0", r"write (trainer\.clip_norm=\S+)"),
        ("regularization.dropout=2", r"write (regularization\.dropout=\S+)"),
        ("data.val_size=-1", r"write (data\.val_size=\S+)"),
        ("trainer.accumulate=two", r"write (trainer\.accumulate=\S+)"),
        ("~scheduler", r"write (scheduler=\w+)"),
        ("~plots", r"write (plots=\w+)"),
        ("logger", r"did you mean (logger=\w+)|write (logger=)VALUE"),
    ],
)
def test_a_word_is_replaced_as_advised(word, advised, capsys):
    assert main(["train", *_WORDS, word]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    found = re.search(advised, said[2])
    assert found, said[2]
    better = next(group for group in found.groups() if group)
    better += "" if "=" in better else f"={word.partition('=')[2]}"
    better += "csv" if better.endswith("=") else ""
    if "cuda" not in better and "bf16" not in better:
        assert main(["train", *_WORDS, "--cfg", "job", better]) == 0, (better, capsys.readouterr().err)
        assert main(["train", *_WORDS, "--plan", better]) == 0, (better, capsys.readouterr().err)


@pytest.mark.slow
@pytest.mark.parametrize("word", ["lr=0.1,0.2", "model=mlp,linear", "model.hidden=8,4"])
def test_several_values_run_with_m_as_advised(word, capsys):
    words = [one for one in _WORDS if one.partition("=")[0] != word.partition("=")[0]]
    assert main(["train", *words, word]) == 2
    said = capsys.readouterr().err.splitlines()[2]
    assert "add -m" in said
    assert ("for a list" in said) == (word == "model.hidden=8,4")
    assert main(["train", "-m", *words, word, "jobs=1"]) == 0


@pytest.mark.slow
def test_names_are_what_was_typed(tmp_path):
    """A number to Hydra, a text to its user."""
    for text in ("1e3", "0", "true", "0x10", "2026-01-01", "007", "1_000", "inf"):
        assert main(["train", *_WORDS, f"name={text}"]) == 0
        assert (tmp_path / "outputs" / "train" / text).is_dir(), text
    assert main(["train", *_WORDS, "outputs=1e3"]) == 0
    assert (tmp_path / "1e3" / "train").is_dir()
    assert main(["sweep", *_WORDS, "lr=0.1", "name=1e3", "outputs=007"]) == 0
    assert (tmp_path / "007" / "sweep" / "1e3").is_dir()
