"""bmx export: exports a trained model to ONNX, torch.export, safetensors or packed weights."""

from bmx.config.verbs import SWEEPING, Verb

VERB = Verb(
    place=70,
    help="write a run as a file that other programs load, checked against the original",
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
)
