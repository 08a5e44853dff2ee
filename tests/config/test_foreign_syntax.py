"""What users of other tools type is answered with the command as bmx reads it, and that command is right."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import bmx
from bmx.cli.main import main


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


_HABITS = [
    ("train --lr=0.1", "train lr=0.1"),
    ("train -lr 0.1", "train lr=0.1"),
    ("train --lr 0.1 data=iris", "train lr=0.1 data=iris"),
    ("train --learning-rate 0.1", "train lr=0.1"),
    ("train --learning_rate=0.1 -m", "train lr=0.1 -m"),
    ("train epochs = 3", "train epochs=3"),
    ("train epochs= 3", "train epochs=3"),
    ("train 'epochs = 3' data=iris", "train epochs=3 data=iris"),
    ("train epochs =3 lr=0.1", "train epochs=3 lr=0.1"),
    ("train epochs==3", "train epochs=3"),
    ("train lr:0.1", "train lr=0.1"),
    ("train lr: 0.1", "train lr=0.1"),
    ("train lr 0.1", "train lr=0.1"),
    ("train learning_rate 0.1 model mlp", "train lr=0.1 model=mlp"),
    ("train --batch-size 64 --epochs 3", "train batch_size=64 epochs=3"),
    ("train --bs=64", "train batch_size=64"),
    ("train --num_epochs 3", "train epochs=3"),
    ("train --optimizer Adam", "train optim=adam"),
    ("train --dataset iris --arch mlp", "train data=iris model=mlp"),
    ("train --gpus 1 data=iris", "train device=cuda data=iris"),
    ("train --cpu", "train device=cpu"),
    ("train --fp16", "train precision=16-mixed"),
    ("train --no-plots", "train plots=false"),
    ("train --compile", "train compile=true"),
    ("train --model.hidden [8] model=mlp", "train 'model.hidden=[8]' model=mlp"),
    ("train --weight-decay 1e-4", "train optim.weight_decay=1e-4"),
    ("train --output-dir runs", "train outputs=runs"),
    ("train --name 'my run'", "train 'name=my run'"),
    ("sweep --lr=0.1,0.2 --n-trials 3 sweeper=tpe", "sweep lr=0.1,0.2 trials=3 sweeper=tpe"),
    ("evaluate --checkpoint best.ckpt", "evaluate run=best.ckpt"),
    ("export --format onnx --run latest", "export format=onnx run=latest"),
    ("distill --teacher latest --temperature 4", "distill teacher=latest distillation.temperature=4"),
]


@pytest.mark.parametrize(("typed", "right"), _HABITS)
def test_the_form_of_another_tool_is_answered_with_the_whole_command(typed, right, capsys):
    assert main(shlex.split(typed)) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert said[0].startswith("bmx: bmx is told key=value, not '")
    assert said[2] == f"  do:    write bmx {right}"
    assert not list(Path().iterdir())


_NAMES = [
    ("learning_rate=0.1", "lr=0.1"),
    ("bs=16", "batch_size=16"),
    ("num_epochs=3", "epochs=3"),
    ("max_epochs=3", "epochs=3"),
    ("batch-size=16", "batch_size=16"),
    ("LR=0.1", "lr=0.1"),
    ("optimizer=Adam", "optim=adam"),
    ("dataset=wine", "data=wine"),
    ("wd=0.1", "optim.weight_decay=0.1"),
    ("dropout=0.1", "regularization.dropout=0.1"),
    ("patience=3", "regularization.patience=3"),
    ("num_workers=3", "data.workers=3"),
    ("output_dir=x", "outputs=x"),
    ("grad_clip=1", "trainer.clip_norm=1"),
    ("warmup=1", "scheduler.warmup=1"),
    ("run_name=x", "name=x"),
]


@pytest.mark.parametrize(("word", "right"), _NAMES)
def test_the_name_of_another_tool_is_answered_with_the_right_one(word, right, capsys):
    others = ["model=mlp", *(["data=iris"] if "data" not in word else [])]
    assert main(["train", *others, word]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert said[1] == f"  where: the argument '{word}'"
    command = shlex.split(said[2].removeprefix("  do:    write "))
    assert command == ["bmx", "train", *others, right]
    bmx.compose("train", command[2:])


def test_words_and_flags_of_bmx_are_left_alone(capsys):
    from bmx.config.foreign_syntax import refuse_habits

    for line in (
        "-m lr=0.1,0.2 --config-dir . --cfg job -p optim",
        "--info defaults model=mlp",
        "'name=a:b' outputs=/x:y model=cnn ~logger +optim.dampening=0.1 --plan",
        "lenet5",
        "~/x 3",
        "--help",
        "-h model=cnn",
    ):
        refuse_habits("train", shlex.split(line))


def test_flags_that_mean_nothing_here_stay_unknown(capsys):
    for argument in ("--frobnicate=3", "--frobnicate", "--lr"):
        assert main(["train", argument]) == 2
        assert "no flag '--" in capsys.readouterr().err
