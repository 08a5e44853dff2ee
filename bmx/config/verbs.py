"""The verbs of ``bmx``, one entry each; a new verb is a new entry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

_NONE: Mapping[str, str] = MappingProxyType({})
_NO_SWITCHES: Mapping[str, tuple[str, str]] = MappingProxyType({})

SWEEPING: Mapping[str, str] = MappingProxyType(
    {
        "jobs": "hydra.launcher.jobs",
        "on_error": "hydra.launcher.on_error",
        "timeout": "hydra.launcher.timeout",
        "retries": "hydra.launcher.retries",
        "jobs_per_gpu": "hydra.launcher.jobs_per_gpu",
        "launcher": "hydra/launcher",
        "seeds": "hydra.sweeper.seeds",
        "objective": "hydra.sweeper.objective",
        "reuse": "hydra.sweeper.reuse",
        "fresh": "hydra.sweeper.fresh",
        "sweeper": "hydra/sweeper",
        "trials": "hydra.sweeper.trials",
        "minutes": "hydra.sweeper.minutes",
        "pruner": "hydra.sweeper.pruner",
        "space": "hydra.sweeper.space",
        "first": "hydra.sweeper.first",
    }
)
"""The words about a sweep itself, of every verb that ``-m`` runs many times."""


class Verb(NamedTuple):
    """One verb of the command line.

    A verb with a ``config`` is composed by Hydra and its target is called as ``f(cfg, run_dir) -> result``;
    without one its target is a plain command, called as ``f(words) -> exit code``.
    """

    help: str
    """One line, shown by ``bmx --help``."""
    target: str
    """``module:function``; imported only when a job really runs."""
    config: str = ""
    """The root file in ``conf/``, without ``.yaml``."""
    check: str = ""
    """``module:function`` that raises UsageError for a configuration that cannot run, before anything is written."""
    examples: tuple[str, ...] = ()
    aliases: Mapping[str, str] = _NONE
    """Words that stand for a longer key: ``teacher=`` for ``model@teacher=``."""
    flags: tuple[str, ...] = ()
    """Flags that the verb implies unless another mode is asked for: a sweep implies ``--multirun``."""
    jobs: str = ""
    """The verb that the jobs of a sweep run as; empty for this one."""
    job_words: tuple[str, ...] = ()
    """Words that each job of a sweep gets unless the command says otherwise."""
    resumes: bool = False
    """Whether ``resume=RUN`` goes on with an earlier run in its own directory."""
    lists: tuple[str, ...] = ()
    """Keys that take several values at once, so that ``run=A,B`` is a list for one job and not a sweep."""
    switches: Mapping[str, tuple[str, str]] = _NO_SWITCHES
    """Flags of this verb alone: the word that each stands for, and a line of help."""
    preview: str = ""
    """``module:function`` that is called with the configuration where ``plan=true``, instead of everything else."""
    report: str = ""
    """``module:function`` that is called when the jobs of a sweep of this verb have ended, with the sweep's directory
    and the configuration that its jobs have in common."""
    named_runs: Mapping[str, str] = _NONE
    """Keys that name runs by words that may mean others tomorrow (``latest``): they are written out as directories.
    With a group, what is no run is a word of it: ``student=cnn`` is ``model=cnn``."""
    inherits: Mapping[str, str] = _NONE
    """Keys that name runs, with the group whose word and fields are theirs where the command chooses none; the first
    key that decides a group does."""
    beginnings: Mapping[str, str] = _NONE
    """Beginnings of keys that stand for others: ``student.`` for ``model.``."""


VERBS: dict[str, Verb] = {
    "train": Verb(
        help="fit a model from scratch or from init_from=, test the best checkpoint",
        target="bmx.verbs.train.command:train",
        config="train",
        check="bmx.verbs.train.command:check",
        examples=(
            "bmx train model=lenet5 optim=sgd",
            "bmx train model=transformer data=language_id epochs=5",
            "bmx train -m lr=0.1,0.01 seed=0,1",
            "bmx train experiment=lenet5_mnist --cfg job",
            "bmx train model=cnn epochs=20 --plan",
        ),
        aliases=SWEEPING,
        resumes=True,
        switches={"--plan": ("plan=true", "say what the run will cost and stop; nothing is written")},
        preview="bmx.verbs.train.plan:plan",
        named_runs={"init_from": ""},
    ),
    "compress": Verb(
        help="make the model of a run smaller or faster, fine-tune it, and show what it cost",
        target="bmx.verbs.compress.command:compress",
        config="compress",
        check="bmx.verbs.compress.command:check",
        examples=(
            "bmx compress run=latest",
            "bmx compress run=latest compression=low_rank compression.budget.params=0.1 epochs=3",
            "bmx compress run=latest compression=quantize",
            "bmx compress run=latest compression=pipeline stages=[prune_structured,low_rank,quantize]",
            "bmx compress run=latest compression=low_rank target.accuracy_drop=0.2",
            "bmx compress -m run=latest compression=low_rank,prune,quantize",
        ),
        aliases=SWEEPING,
        named_runs={"run": "", "teacher": ""},
        job_words=("plots=false", "engines=[]"),
        resumes=True,
        report="bmx.verbs.compress.sweep_report:report",
    ),
    "distill": Verb(
        help="fit a student against frozen teachers, and show what it learned from them",
        target="bmx.verbs.distill.command:distill",
        config="distill",
        check="bmx.verbs.distill.command:check",
        examples=(
            "bmx distill teacher=latest student=mlp",
            "bmx distill teacher=vit student=cnn student.width=8 teacher_epochs=5",
            "bmx distill teacher=20261122-0500,20261122-0601 student=cnn distillation=dkd",
            "bmx distill teacher=lenet5_caffe student=cnn distillation=fitnet distillation.student_layers=[features.1]",
            "bmx distill -m teacher=latest distillation=kd,kd_std,dkd distillation.temperature=2,4,8",
        ),
        aliases=SWEEPING,
        job_words=("plots=false",),
        resumes=True,
        report="bmx.verbs.distill.sweep_report:report",
        lists=("teacher", "teacher_words", "teacher_seeds"),
        named_runs={"teacher": "", "student": "model"},
        inherits={"teacher": "data", "student": "data"},
        beginnings={"student.": "model.", "teacher.": "++teacher_fields."},
    ),
    "sweep": Verb(
        help="many trainings, in parallel and resumable: a grid or a search, ending in a leaderboard",
        target="bmx.verbs.train.command:train",
        config="sweep",
        check="bmx.verbs.train.command:check",
        examples=(
            "bmx sweep lr=0.1,0.01 seeds=5",
            "bmx sweep model=lenet5,cnn optim=sgd,adam jobs=2",
            "bmx sweep 'experiment=glob(*)' epochs=1",
            "bmx sweep sweeper=tpe 'lr=tag(log,interval(1e-4,1))' trials=30",
            "bmx sweep sweeper=tpe model=cnn 'model.depth=range(1,4)' 'model.width=choice(8,16,32)' pruner=median",
            "bmx sweep sweeper=nsga2 model=cnn 'model.width=choice(4,8,16)' objective=[accuracy,macs]",
            "bmx sweep sweeper=tpe optim=sgd,adam space=optim",
        ),
        aliases=SWEEPING,
        flags=("--multirun",),
        jobs="train",
        job_words=("plots=false",),
        named_runs={"init_from": ""},
    ),
    "evaluate": Verb(
        help="metrics of a run or an exported file on any split or data set",
        target="bmx.verbs.evaluate.command:evaluate",
        config="evaluate",
        check="bmx.verbs.evaluate.command:check",
        examples=(
            "bmx evaluate run=latest",
            "bmx evaluate run=latest split=val",
            "bmx evaluate run=latest data=digits",
            "bmx evaluate run=model.onnx",
        ),
        aliases=SWEEPING,
        named_runs={"run": ""},
    ),
    "bench": Verb(
        help="what a model or a run costs: parameters, MACs, memory, file size, latency",
        target="bmx.verbs.bench.command:bench",
        config="bench",
        check="bmx.verbs.bench.command:check",
        examples=(
            "bmx bench model=torchvision model.name=vgg16 data=cifar10",
            "bmx bench run=latest engines=eager,onnx,onnx_int8 batch_sizes=1,256",
            "bmx bench run=20261122-0500,20261122-0601",
            "bmx bench -m model=cnn model.depth=1,2,3 model.width=16,32,64",
        ),
        aliases=SWEEPING,
        lists=("run", "engines", "batch_sizes"),
        named_runs={"run": ""},
        report="bmx.runs.report.bench_sweep:report",
    ),
    "export": Verb(
        help="write a run as onnx, pt2 or safetensors, checked against the original",
        target="bmx.verbs.export.command:export",
        config="export",
        check="bmx.verbs.export.command:check",
        examples=(
            "bmx export run=latest",
            "bmx export run=latest format=pt2 file=lenet5.pt2",
            "bmx export run=latest preprocessing=beside",
        ),
        aliases=SWEEPING,
        named_runs={"run": ""},
    ),
    "runs": Verb(
        help="what has been run, newest first",
        target="bmx.cli.runs:main",
        examples=("bmx runs", "bmx runs list limit=5", "bmx runs list outputs=elsewhere --json"),
    ),
    "completion": Verb(
        help="print the tab completion script of a shell: bash, zsh or fish",
        target="bmx.cli.completion:main",
        examples=('eval "$(bmx completion bash)"', 'eval "$(bmx completion zsh)"', "bmx completion fish | source"),
    ),
}
