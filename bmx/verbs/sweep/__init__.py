"""bmx sweep: hyperparameter sweeps over trainings, parallel and resumable."""

from bmx.config.verbs import SWEEPING, Verb

VERB = Verb(
    place=40,
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
)
