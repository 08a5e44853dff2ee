"""What a sweep prints for copying is a command that bmx takes."""

from __future__ import annotations

import re
import shlex

import pytest

import bmx
from bmx.cli.main import main
from bmx.config.no_effect import idle_keys
from bmx.runs.report.commands import command

_FIXED = ["data=iris", "model=mlp", "plots=false"]


@pytest.mark.parametrize(
    ("verb", "words", "idle"),
    [
        ("train", ["scheduler.warmup=0", "scheduler.warmup_start=0.5"], {"scheduler.warmup_start"}),
        ("train", ["scheduler.warmup=1", "scheduler.warmup_start=0.5"], set()),
        ("train", ["compress_when=during", "lr=0.5"], {"compress_when"}),
        ("compress", ["run=x.ckpt", "compression=prune", "epochs=0", "optim=sgd", "lr=0.1", "stages=[prune]"], None),
    ],
)
def test_words_that_do_nothing_in_one_job_are_left_out(verb, words, idle):
    found = idle_keys(verb, [], words)
    assert found == idle if idle is not None else found
    shown = shlex.split(command(verb, [], words))
    assert shown[:2] == ["bmx", verb]
    assert shown[2:] == [word for word in words if word.partition("=")[0] not in found]
    if verb == "train":
        bmx.compose(verb, shown[2:])


def test_a_command_that_does_not_compose_is_shown_as_it_is():
    assert command("train", [], ["model=nothing", "compress_when=during"]).split()[2:] == [
        "model=nothing",
        "compress_when=during",
    ]


def test_what_is_printed_runs(tmp_path, monkeypatch, capsys):
    """The best job has no warm-up, so that where one would begin says nothing of it."""
    monkeypatch.chdir(tmp_path)
    swept = ["scheduler.warmup=0,1", "scheduler.warmup_start=0.5", "epochs=2", "lr=1e-3"]
    assert main(["sweep", *_FIXED, *swept, "seeds=1", "name='it\\'s 1'"]) == 0
    said = capsys.readouterr().out
    (again,) = re.findall(r"^again  (.*)$", said, re.MULTILINE)
    words = shlex.split(again)
    assert words[:2] == ["bmx", "train"]
    assert ("scheduler.warmup_start=0.5" in words) is ("scheduler.warmup=1" in words)
    assert main(words[1:]) == 0
