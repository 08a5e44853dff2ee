"""bmx evaluate: metrics of a trained model or an exported file."""

from bmx.config.verbs import SWEEPING, Verb

VERB = Verb(
    place=50,
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
)
