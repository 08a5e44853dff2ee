"""``+key``, ``~key`` and ``group=null``: taken where they mean something; elsewhere refused, with advice that works."""

from __future__ import annotations

from pathlib import Path

import pytest

import bmx
from bmx.cli.main import main
from bmx.errors import UsageError

_WORDS = ["data=iris", "model=mlp", "epochs=1", "plots=false"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("group", ["scheduler", "regularization", "trainer", "optim", "data", "model"])
@pytest.mark.parametrize("form", ["~{}", "{}=null"])
def test_a_group_that_is_needed_names_its_plain_word(group, form):
    words = [word for word in _WORDS if not word.startswith(group)]
    with pytest.raises(UsageError) as refused:
        bmx.compose("train", [*words, form.format(group)])
    assert refused.value.where == f"the argument '{form.format(group)}'"
    word = refused.value.fix.removeprefix("write ")
    assert word.startswith(f"{group}=")
    bmx.compose("train", [*words, word])


@pytest.mark.parametrize(
    "key",
    [
        *("plots", "epochs", "lr", "name", "seed", "outputs", "batch_size", "resume", "plan", "compress_when"),
        *("checkpoint.every", "regularization.patience", "regularization.l1", "trainer.threads", "data.val_size"),
        *("data.workers", "trainer.callbacks", "device", "precision", "init_from", "compile", "profile"),
    ],
)
def test_a_key_that_is_read_is_written_instead_of_taken_away(key):
    with pytest.raises(UsageError) as refused:
        bmx.compose("train", [*_WORDS, f"~{key}"])
    assert refused.value.where == f"the argument '~{key}'"
    word = refused.value.fix.removeprefix("write ")
    assert word.partition("=")[0] == key
    bmx.compose("train", [*_WORDS, word])


def test_what_need_not_be_there_is_taken_away():
    for words in (["~logger"], ["logger=null"], ["~augmentation", "~compression", "~experiment"], ["~model.hidden"]):
        assert main(["train", *_WORDS, *words]) == 0, words
    for words in (["augmentation=null", "compression=null", "experiment=null"], ["~optim.momentum"]):
        bmx.compose("train", [*_WORDS, *words])
    bmx.compose("evaluate", ["run=x.ckpt", "data=null"])
    bmx.compose("compress", ["run=x.ckpt", "distillation=null", "experiment=null"])


@pytest.mark.parametrize(
    "word", ["+lerning_rate=5", "++lerning_rate=5", "+trainer.devices=2", "++trainer.devices=2", "+checkpoint.often=1"]
)
def test_a_key_that_nothing_reads_is_refused(word, capsys):
    assert main(["train", *_WORDS, word]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert f"'{word.lstrip('+').partition('=')[0]}'" in said[0]
    assert said[1] == f"  where: the argument '{word}'"
    assert not Path("outputs").exists()


def test_no_error_suggests_a_plus(capsys):
    for word in ("lerning_rate=5", "trainer.devices=2", "model.foo=3", "hydra.foo=3"):
        assert main(["train", *_WORDS, word]) == 2
        assert "+" not in capsys.readouterr().err


def test_a_key_that_something_reads_is_added():
    bmx.compose("train", [*_WORDS, "+optim.dampening=0.1"])
    bmx.compose("train", [*_WORDS, "+units=8", "model.hidden=[${units}]"])
    bmx.compose("train", [*_WORDS, "++epochs=2"])
    bmx.compose("distill", ["teacher=mlp", "student=mlp", "teacher.hidden=[8]"])


def test_a_group_with_a_plus_that_is_chosen_already(capsys):
    assert main(["train", *_WORDS, "+logger=tensorboard"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[1:] == ["  where: the argument '+logger=tensorboard'", "  do:    write logger=tensorboard"]


def test_null_among_the_values_of_a_group(capsys):
    assert main(["sweep", *_WORDS, "compression=null,prune"]) == 2
    assert "leave null out" in capsys.readouterr().err
    assert main(["sweep", *_WORDS, "scheduler=null,cosine"]) == 2
    assert "write scheduler=constant" in capsys.readouterr().err
    assert not Path("outputs").exists()
