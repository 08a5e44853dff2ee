"""Words that are right elsewhere: what other programs call a value, and what another verb of bmx has."""

from __future__ import annotations

import re
import shlex

import pytest

from bmx.cli.main import main

_WORDS = ["data=iris", "model=mlp", "epochs=1", "plots=false"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def advice(capsys, verb, *words):
    """What is said to do about a command that is refused and leaves nothing."""
    capsys.readouterr()
    assert main([verb, *words]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and said[2].startswith("  do:    "), said
    return said[2].removeprefix("  do:    ")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("precision=fp16", "precision=16-mixed"),
        ("precision=16", "precision=16-mixed"),
        ("precision=32", "precision=32-true"),
        ("precision=bfloat16", "precision=bf16-mixed"),
        ("device=gpu", "device=cuda"),
        ("device=GPU", "device=cuda"),
        ("optim=momentum", "optim=sgd"),
        ("scheduler=none", "scheduler=constant"),
        ("scheduler=CosineAnnealingLR", "scheduler=cosine"),
        ("regularization=off", "regularization=none"),
        ("augmentation=off", "augmentation=none"),
        ("augmentation=flip", "augmentation=crop_flip"),
        ("model=dense", "model=mlp"),
        ("model=resnet18", "model=torchvision model.name=resnet18"),
        ("model=vit_b_16", "model=torchvision model.name=vit_b_16"),
        ("compression=svd", "compression=low_rank"),
        ("compression=structured", "compression=prune_structured"),
        ("compression=quantization", "compression=quantize"),
        ("compression=none", "compression=null"),
        ("logger=tb", "logger=tensorboard"),
        ("logger=none", "logger=null"),
        ("model.activation=swish", "model.activation=silu"),
        ("compress_when=while", "compress_when=during"),
    ],
)
def test_a_value_is_told_by_the_name_it_has_here(capsys, word, meant):
    words = [one for one in _WORDS if one.partition("=")[0] != word.partition("=")[0]]
    assert meant in advice(capsys, "train", *words, word)
    assert main(["train", *words, "--cfg", "job", *meant.split()]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "word", "meant"),
    [
        ("evaluate", "split=validation", "split=val"),
        ("export", "format=torchscript", "format=pt2"),
        ("bench", "engines=[torch]", "engines"),
        ("distill", "distillation=hinton", "distillation=kd"),
        ("sweep", "sweeper=optuna", "sweeper=tpe"),
    ],
)
def test_so_are_those_of_the_other_verbs(capsys, verb, word, meant):
    assert meant in advice(capsys, verb, word)


def test_a_word_whose_file_needs_what_another_verb_has(capsys, tmp_path):
    said = advice(capsys, "train", *_WORDS, "compression=pipeline")
    command = re.search(r"train without it first, then write (bmx compress .*)", said)
    assert command and "model=" not in command[1] and "compression=pipeline" in command[1]
    assert not list(tmp_path.iterdir())
    assert main(["train", *_WORDS]) == 0
    assert main([*shlex.split(command[1])[1:], "--cfg", "job"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "word", "other"),
    [
        ("train", "stages=[prune]", "compress"),
        ("train", "split=val", "evaluate"),
        ("train", "distillation=kd", "distill"),
        ("sweep", "distillation=kd", "distill"),
        ("evaluate", "epochs=3", "train"),
        ("evaluate", "model=mlp", "train"),
        ("evaluate", "optim=sgd", "train"),
    ],
)
def test_a_word_of_another_verb_names_that_verb(capsys, verb, word, other):
    said = advice(capsys, verb, word)
    assert said.startswith("leave it out; ") and f"`bmx {other}`" in said
    words = ["run=latest"] if other == "evaluate" else []
    assert main([other, *words, word, "--cfg", "job"]) == 0, capsys.readouterr().err


def test_a_search_space_is_named_in_a_search(capsys):
    said = advice(capsys, "train", *_WORDS, "space/optim=sgd")
    command = re.search(r"(bmx sweep .*)", said)
    assert command
    assert main([*shlex.split(command[1])[1:], "--cfg", "job"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "words", "other"),
    [
        ("train", ["experiment=deep_lenet5_caffe", "epochs=1"], "compress"),
        ("compress", ["run=x", "experiment=cnn_mnist_adam"], "train"),
        ("sweep", ["experiment=hinton_distilled", "lr=0.1,0.2"], "distill"),
    ],
)
def test_an_experiment_of_another_verb_is_written_with_it(capsys, verb, words, other):
    said = advice(capsys, verb, *words)
    command = shlex.split(said.removeprefix("write "))
    assert command[:2] == ["bmx", other] and "run=x" not in command
    assert ("-m" in command) == (verb == "sweep")
    one = [word.partition(",")[0] for word in command[1:] if word != "-m"]
    assert main([*one, "--cfg", "job"]) == 0, capsys.readouterr().err
