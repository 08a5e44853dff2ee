"""bmx bench: the cost of models on this machine: parameters, MACs, memory, latency."""

from bmx.config.verbs import SWEEPING, Verb

VERB = Verb(
    place=60,
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
)
