"""bmx train: trains a model, tests the best checkpoint, records the run."""

from bmx.config.verbs import SWEEPING, Verb

VERB = Verb(
    place=10,
    help="fit a model from scratch or from init_from=, test the best checkpoint",
    target="bmx.verbs.train.command:train",
    config="train",
    check="bmx.verbs.train.command:check",
    rank="bmx.verbs.train.command:rank",
    examples=(
        "bmx train model=lenet5 optim=sgd",
        "bmx train model=transformer data=language_id epochs=5",
        "bmx train -m lr=0.1,0.01 seed=0,1",
        "bmx train experiment=lenet5_mnist --cfg job",
        "bmx train model=cnn epochs=20 --plan",
        "bmx train model=cnn devices=2",
    ),
    aliases=SWEEPING,
    resumes=True,
    switches={"--plan": ("plan=true", "say what the run will cost and stop; nothing is written")},
    preview="bmx.verbs.train.plan:plan",
    named_runs={"init_from": ""},
)
