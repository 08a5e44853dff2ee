"""What is typed takes effect or is refused, before anything is written; and what a refusal advises works."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

import bmx
from bmx.cli.main import main
from bmx.config.compose import hydra_config
from bmx.config.many import Composer
from bmx.config.no_effect import idle_words
from bmx.config.no_effect_rules import RULES
from bmx.config.overrides import rewrite_words
from bmx.config.request import Asked
from bmx.config.search_path import make_loader
from bmx.config.verbs import VERBS
from bmx.errors import UsageError

_TRAIN = ["data=iris", "model=mlp", "epochs=2"]
_DISTILL = ["teacher=mlp", "student=mlp", "data=iris", "epochs=2"]
_COMPRESS = ["run=some.ckpt", "data=iris"]
_BENCH = ["model=mlp", "data=iris"]

IDLE = [
    ("train", _TRAIN, "tuning_epochs=3"),
    ("train", _TRAIN, "compress_when=during"),
    ("train", [*_TRAIN, "compression=prune", "compress_when=during"], "tuning_epochs=3"),
    ("train", _TRAIN, "scheduler.warmup_start=0.1"),
    ("train", [*_TRAIN, "scheduler=one_cycle", "scheduler.max_momentum=null"], "scheduler.min_momentum=0.8"),
    ("train", [*_TRAIN, "data.in_memory=true"], "data.workers=4"),
    ("train", [*_TRAIN, "compression=low_rank", "compression.rule=energy"], "compression.samples=64"),
    ("train", [*_TRAIN, "compression=prune_structured"], "compression.samples=64"),
    ("train", [*_TRAIN, "compression=quantize", "compression.activations=dynamic"], "compression.samples=64"),
    ("train", [*_TRAIN, "compression=quantize", "compression.activations=none"], "compression.range=full"),
    ("train", [*_TRAIN, "compression=quantize"], "compression.percentile=99"),
    ("train", [*_TRAIN, "compression=quantize"], "compression.group=64"),
    ("train", [*_TRAIN, "compression=prune", "compression.budget.params=0.1"], "compression.sparsity=0.8"),
    ("train", [*_TRAIN, "compression=prune_structured", "compression.budget.macs=0.3"], "compression.ratio=0.3"),
    ("train", [*_TRAIN, "compression=prune", "compression.lottery_ticket=true"], "compression.schedule=once"),
    ("train", [*_TRAIN, "compression=prune", "compression.schedule=once"], "compression.updates=7"),
    ("distill", ["teacher=mlp", "student=20260101-0000", "data=iris"], "init_from=some.ckpt"),
    ("distill", [*_DISTILL, "distillation.mixup=0.2"], "keep_outputs=true"),
    ("distill", [*_DISTILL, "augmentation=jitter"], "keep_outputs=true"),
    ("compress", _COMPRESS, "teacher=some.ckpt"),
    ("compress", _COMPRESS, "keep_outputs=true"),
    ("compress", _COMPRESS, "stages=[prune]"),
    ("compress", _COMPRESS, "target.trials=3"),
    ("compress", [*_COMPRESS, "engines=[]"], "seconds=2"),
    ("compress", [*_COMPRESS, "engines=[]"], "batch_sizes=[1,2]"),
    *(
        ("compress", [*_COMPRESS, "epochs=0"], word)
        for word in (
            *("lr=0.1", "optim=sgd", "optim.weight_decay=0.1", "scheduler=step", "batch_size=10", "compile=true"),
            *("profile=true", "trainer.clip_norm=1", "checkpoint.every=5", "logger=tensorboard", "augmentation=jitter"),
            *("regularization.l1=0.1", "distillation=kd", "trainer.accumulate=2"),
        )
    ),
    ("compress", [*_COMPRESS, "epochs=0", "compression=quantize"], "compression.qat=true"),
    ("compress", [*_COMPRESS, "epochs=0", "compression=prune"], "compression.end=0.5"),
    ("compress", [*_COMPRESS, "epochs=0", "compression=deep"], "compression.share=0.9"),
    ("compress", [*_COMPRESS, "compression=pipeline", "stages=[quantize]"], "compression.prune.sparsity=0.5"),
    ("compress", [*_COMPRESS, "compression=pipeline", "stages=[quantize]"], "compression.quantize.percentile=99"),
    ("evaluate", ["run=model.onnx"], "precision=bf16-mixed"),
    ("evaluate", ["run=some.ckpt", "data=iris"], "data.workers=3"),
    ("export", ["run=some.ckpt", "format=packed"], "preprocessing=beside"),
    ("export", ["run=some.ckpt", "format=packed"], "tolerance=0.1"),
    ("export", ["run=some.ckpt", "format=safetensors"], "tolerance=0.1"),
    ("bench", _BENCH, "optim=adam"),
    ("bench", _BENCH, "scheduler=cosine"),
    ("bench", _BENCH, "regularization.l1=0.1"),
    ("bench", _BENCH, "accuracy=true"),
    ("bench", _BENCH, "data.val_size=0.3"),
    ("bench", ["run=some.ckpt"], "regularization=dropout"),
    ("bench", ["run=some.ckpt", "accuracy=false"], "data=iris"),
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("some.ckpt").touch()


@cache
def _composer(verb: str) -> Composer:
    return Composer(make_loader(verb), verb)


def _idle(verb: str, words: list[str]) -> list[UsageError]:
    """What is said of the words of a command; many times faster than composing each anew."""
    composer, written = _composer(verb), rewrite_words(words, VERBS[verb])
    with hydra_config(composer.base(written)):
        return list(idle_words(composer.compose(written), Asked(verb, verb, tuple(written))).values())


def test_a_word_without_an_effect_is_refused_and_the_advice_works():
    said = set()
    for verb, words, idle in IDLE:
        assert not _idle(verb, words), (verb, words)  # left out, as is advised
        (error,) = _idle(verb, [*words, idle])
        assert len(error.lines()) == 3
        assert "has no effect here" in error.what
        assert idle in error.where
        said.add(error.what.partition(": ")[2])
        added = re.fullmatch(r"add (.+), or leave it out", error.fix)
        if added:
            assert not _idle(verb, [*words, idle, *added[1].split()]), (verb, idle, error.fix)
        else:
            assert error.fix == "leave it out"
    assert {rule.because for rule in RULES} <= said, "a rule without a case may be wrong unseen"


def test_the_command_line_and_python_refuse_alike(capsys):
    for verb, words, idle in (IDLE[0], IDLE[3], ("evaluate", ["run=model.onnx"], "precision=bf16-mixed")):
        assert main([verb, *words, idle]) == 2
        assert capsys.readouterr().err.startswith(f"bmx: {idle.partition('=')[0]} has no effect here")
        with pytest.raises(UsageError, match="has no effect here"):
            bmx.compose(verb, [*words, idle])
    assert sorted(path.name for path in Path().iterdir()) == ["some.ckpt"]


def test_what_a_file_says_and_what_switches_off_is_left_alone():
    bmx.compose("compress", [*_COMPRESS, "experiment=low_rank_10_percent"])
    bmx.compose("compress", [*_COMPRESS, "teacher=null", "keep_outputs=false", "epochs=0", "compile=false"])
    bmx.compose("train", [*_TRAIN, "tuning_epochs=null"])


@pytest.mark.slow
def test_a_word_of_a_sweep_needs_an_effect_in_one_of_its_jobs(capsys):
    words = ["sweep", *_TRAIN, "plots=false", "jobs=1"]
    assert main([*words, "scheduler=cosine", "scheduler.warmup_start=0.1", "lr=0.1,0.2"]) == 2
    assert "scheduler.warmup_start has no effect here" in capsys.readouterr().err
    assert not Path("outputs").exists()
    assert main([*words, "scheduler.warmup=0,0.5", "scheduler.warmup_start=0.1"]) == 0


SWEEPING = [
    *("seeds=3", "objective=f1", "jobs=2", "on_error=stop", "timeout=10", "retries=1", "jobs_per_gpu=2"),
    *("reuse=true", "fresh=true", "trials=7", "minutes=3", "pruner=median", "space=optim", "first=[]"),
    *("sweeper=tpe", "launcher=basic", "hydra.sweeper.seeds=3", "hydra/sweeper=random", "hydra.launcher.jobs=3"),
    "hydra.sweep.dir=x",
]


@pytest.mark.parametrize("verb", ["train", "distill", "compress", "evaluate", "bench", "export"])
def test_words_about_a_sweep_are_refused_in_one_run(verb, capsys):
    for word in SWEEPING:
        assert main([verb, word]) == 2, word
        said = capsys.readouterr().err.splitlines()
        key = word.partition("=")[0]
        assert said[0] == f"bmx: {key} is about many runs, and this is one"
        assert said[1] == f"  where: the argument '{word}'"
        assert "add -m" in said[2]
    with pytest.raises(UsageError, match="seeds is about "):
        bmx.compose(verb, ["seeds=3"])
    assert sorted(path.name for path in Path().iterdir()) == ["some.ckpt"]


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (["trials=3"], "sweeper=tpe"),
        (["minutes=3"], "sweeper=tpe"),
        (["pruner=median"], "sweeper=tpe"),
        (["launcher=basic", "jobs=2"], "leave it out"),
        (["jobs=2", "jobs_per_gpu=2"], "leave out one"),
        (["hydra.run.dir=x"], "hydra.sweep.dir=FOLDER"),
        (["hydra.sweep.subdir=x"], "leave it out"),
        (["resume=latest"], "leave it out"),
        (["plan=true"], "bmx train --plan"),
        (["--run"], "bmx train"),
    ],
)
def test_words_that_this_sweep_does_not_have(words, fix, capsys):
    assert main(["sweep", *_TRAIN, "lr=0.1,0.2", *words]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert fix in said[2]
    assert not Path("outputs").exists()


ENVIRONMENTS = [
    {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"},
    {"WORLD_SIZE": "8", "LOCAL_RANK": "0"},
    {"SLURM_NTASKS": "4", "SLURM_STEP_ID": "0", "SLURM_PROCID": "0"},
    {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0"},
]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_copies_of_a_launcher_are_refused(environment, monkeypatch, capsys):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for verb in ("train", "sweep", "distill", "compress", "evaluate", "bench", "export"):
        assert main([verb]) == 2
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 3
        assert "copies of this command" in said[0]
    assert sorted(path.name for path in Path().iterdir()) == ["some.ckpt"]
    assert main(["runs", "list"]) == 0
    with pytest.raises(UsageError, match="copies of this command"):
        bmx.compose("train")


def test_one_process_of_a_launcher_is_no_copy(monkeypatch):
    from bmx.runs.copies import refuse_copies

    refuse_copies({"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"})
    refuse_copies({"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7"})  # a batch script
    refuse_copies({})
