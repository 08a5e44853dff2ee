"""Every kind of net under every method: in memory, read back, as ONNX and packed, against plain arithmetic."""

from __future__ import annotations

import contextlib
import copy
from pathlib import Path

import onnxruntime
import pytest
import torch

import bmx
import bmx.api
from bmx.engine import saved_check
from bmx.errors import RunFailed
from tests.compression import independent
from tests.compression.kinds_of_nets import KINDS
from tests.compression.patterns import patterns

pytestmark = pytest.mark.slow

METHODS = {
    "prune": ["compression.sparsity=0.5"],
    "prune_structured": ["compression.ratio=0.2", "compression.round_to=1"],
    "low_rank": [],
    "deep": ["compression.sparsity=0.5"],
    "quantize": [],
    "quantize_weights": [],
}
# Of the largest output. Eight-bit inputs may fall on the other side of the middle between two steps.
EXACT, ROUNDED = 1e-4, 0.03
# A branch that depends on the numbers of the batch is in no graph.
WITHOUT_GRAPH = {"DataDependent"}


def expected_net(method, net, small):
    """The net that a compressed one has to be."""
    if method == "prune":
        return independent.masked(net, small.net)
    if method == "prune_structured":
        return independent.scattered(net, small.net, [step for step in small.recipe if step["kind"] == "attention"])
    if method == "low_rank":
        return independent.multiplied(net, small.net)
    if method == "deep":
        return independent.valued(net, small.net)
    return independent.dequantised(net, small.net)


def accuracy(outputs, targets):
    return float((outputs.argmax(1) == targets).float().mean())


@pytest.fixture(scope="module")
def table(request):
    rows = []
    yield rows
    heads = ("net", "method", "float", "alone", "memory", "reloaded", "packed", "onnx", *["off by"] * 4)
    print("\n" + "\n".join("".join(f"{cell:>17}" for cell in row) for row in [heads, *rows]))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A user's folder, with words for the net and the data."""
    monkeypatch.chdir(tmp_path)
    for group, target in (("model", "kinds_of_nets.Plain"), ("data", "patterns.patterns")):
        (tmp_path / "bmx_conf" / group).mkdir(parents=True)
        (tmp_path / "bmx_conf" / group / "mine.yaml").write_text(f"_target_: tests.compression.{target}\n")
    return tmp_path


@pytest.mark.parametrize("word", KINDS)
def test_a_compressed_net_is_what_arithmetic_makes_of_it(word, folder, table, monkeypatch):
    (folder / "bmx_conf" / "model" / "mine.yaml").write_text(f"_target_: tests.compression.kinds_of_nets.{word}\n")
    words = ["model=mine", "data=mine", "optim=adam", "lr=0.003", "epochs=12", "batch_size=32", "plots=false"]
    bmx.train(bmx.compose("train", words), run_dir="run", quiet=True)
    test = patterns().test
    original = bmx.load("run", trust="tests")
    with torch.no_grad():
        before = accuracy(original(test.inputs), test.targets)
    assert before > 0.6, before
    failures = []
    for method in METHODS:
        try:
            table.append(row := [word, method, f"{100 * before:.1f}"])
            row += compared(method, original, test, monkeypatch, word not in WITHOUT_GRAPH)
        except Exception as error:
            failures.append(f"{method}: {type(error).__name__}: {error}")
    assert not failures, "\n".join(failures)


def run(session, raw):
    """onnxruntime's own answers; a net that writes its batch size into its code has a graph for that one."""
    taken = session.get_inputs()[0]
    size = taken.shape[0] if isinstance(taken.shape[0], int) else len(raw)
    answers = [session.run(None, {taken.name: part.numpy()})[0] for part in raw.split(size)]
    return torch.cat([torch.from_numpy(answer) for answer in answers])


def compared(method, original, test, monkeypatch, graph):
    held = []
    check = saved_check.check_saved

    def held_check(path, net, stage, *others, **named):
        held.append((copy.deepcopy(net).eval(), stage))
        return check(path, net, stage, *others, **named)

    words = ["run=run", f"compression={method}", "epochs=0", "engines=[]", "plots=false", "trust=tests"]
    with monkeypatch.context() as patched:
        patched.setattr("bmx.verbs.compress.compression_run.check_saved", held_check)
        bmx.compress(bmx.compose("compress", [*words, *METHODS[method]]), run_dir=method, quiet=True)
    raw = test.inputs
    small = bmx.load(method, trust="tests")
    net, stage = held[-1]
    for form in ("onnx", "packed"):
        cfg = bmx.compose("export", [f"run={method}", f"format={form}", "trust=tests"])
        refused = form == "onnx" and not graph
        with pytest.raises(RunFailed, match="cannot follow this model") if refused else contextlib.nullcontext():
            bmx.api.export(cfg, run_dir=f"{method}-{form}", quiet=True)
    packed = bmx.load(next(Path(f"{method}-packed").rglob("*.bmxp")), trust="tests")
    with torch.no_grad():
        alone = original.output_stage(expected_net(method, original.net, small)(original.input_stage(raw)))
        outputs = {
            "memory": small.output_stage(net(stage(raw))),
            "reloaded": small(raw),
            "packed": packed(raw),
        }
    if graph:
        outputs["onnx"] = run(onnxruntime.InferenceSession(next(Path(f"{method}-onnx").rglob("*.onnx"))), raw)
    largest, right = alone.abs().max(), accuracy(alone, test.targets)
    off = {name: float((found - alone).abs().max() / largest) for name, found in outputs.items()}
    hits = {name: accuracy(found, test.targets) for name, found in outputs.items()}
    rounds = method == "quantize", method == "quantize_weights"
    # onnxruntime rounds what meets weights of few bits to eight bits itself, unless its session is told otherwise.
    allowed = {name: ROUNDED if rounds[0] or (rounds[1] and name == "onnx") else EXACT for name in off}
    other = 0.02 if any(rounds) else 0.0
    assert all(off[name] <= allowed[name] for name in off), off
    assert all(abs(value - right) <= other for value in hits.values()), (right, hits)
    return [*(f"{100 * value:.1f}" for value in (right, *hits.values())), *(f"{value:.1e}" for value in off.values())]
