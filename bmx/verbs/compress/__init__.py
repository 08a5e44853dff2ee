"""bmx compress: compresses the model of a run and measures the loss of accuracy."""

from bmx.config.verbs import SWEEPING, Verb

VERB = Verb(
    place=20,
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
)
