"""8-bit products are right on every processor: within 63 nothing overflows, and what may is found, named and mended."""

import json
import shutil

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bmx.compression.quantize import quantization_grid
from bmx.compression.quantize.layers import QuantizedLinear
from bmx.compression.quantize.method import Quantize
from bmx.compression.quantize.recurrent import QuantizedRecurrent
from bmx.compression.rebuild import rebuild
from bmx.errors import RunFailed
from bmx.export import int8, onnx_file, overflow
from bmx.export.graph import ready
from bmx.export.onnx_file import session, write_graph
from tests.compression.quantising import context, inputs, small
from tests.export.saturation import can_hide_instructions, exact, saturating, without_vnni

REDUCED, FULL = quantization_grid.WEIGHT_RANGE[7][1], quantization_grid.WEIGHT_RANGE[8][1]


class Recurrent(nn.Module):
    def __init__(self, **fields):
        super().__init__()
        self.cells = nn.LSTM(16, 32, batch_first=True, **fields)
        self.head = nn.Linear(64 if self.cells.bidirectional else 32, 3)

    def forward(self, x):
        return self.head(self.cells(x.flatten(2))[0][:, -1])


def lstm(**fields):
    torch.manual_seed(0)
    net = Recurrent(**fields).eval()
    with torch.no_grad():  # far from zero, so that the gates matter
        for weights in net.cells.parameters():
            weights.mul_(3)
    return net


NETS = {
    "static": (small, (2, 8, 8), {}),
    "dynamic": (small, (2, 8, 8), {"activations": "dynamic"}),
    "weights": (small, (2, 8, 8), {"activations": "none"}),
    "lstm": (lstm, (8, 16), {}),
    "two_ways": (lambda: lstm(bidirectional=True, num_layers=2), (8, 16), {"activations": "none"}),
}


def made(kind, **fields):
    make, shape, way = NETS[kind]
    net, x = make(), inputs(shape=shape)
    return Quantize(**{**way, **fields})(net, context(net, x)).net, x


def answers(runner, x):
    return torch.from_numpy(runner.run(None, {runner.get_inputs()[0].name: x.numpy()})[0])


def off(got, expected):
    return float((got - expected).abs().max() / expected.abs().max())


@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(-REDUCED, REDUCED)), min_size=1, max_size=40),
    st.sampled_from([1, -1]),
)
def test_products_of_reduced_weights_never_overflow(pairs, sign):
    x, w = (np.array([column]) for column in zip(*pairs, strict=True))
    assert saturating(x, w) == exact(x, w)
    worst, most = np.full((1, 8), 255), np.full((1, 8), sign * REDUCED)
    assert saturating(worst, most) == exact(worst, most) and overflow.FITS >= REDUCED


def test_the_bound_is_the_processors():
    """64 is the last weight that fits, and with the full range almost every bright neighbourhood overflows."""
    bright = np.full((1, 2), 255)
    for weight in range(129):
        fits = (saturating(bright, np.full((1, 2), weight)) == exact(bright, np.full((1, 2), weight))).all()
        assert fits == (weight <= overflow.FITS), weight
    # Of different signs they make up for each other.
    assert saturating(bright, np.array([[127, -127]])) == 0


@pytest.mark.parametrize("kind", NETS)
def test_weights_that_meet_8_bit_inputs_stay_within_63(kind):
    net, _ = made(kind)
    full, _ = made(kind, range="full")
    for (path, layer), wide in zip(net.named_modules(), full.modules(), strict=True):
        if isinstance(layer, QuantizedRecurrent):
            largest = [int(stored.codes.abs().max()) for stored in layer.matrices.values()]
            assert set(largest) == {REDUCED}, path
            assert {int(stored.codes.abs().max()) for stored in wide.matrices.values()} == {FULL}
        elif hasattr(layer, "weights") and hasattr(layer, "added"):
            rounds = not isinstance(layer.input, nn.Identity)
            assert int(layer.weights.codes.abs().max()) == (REDUCED if rounds else FULL), path
            assert int(wide.weights.codes.abs().max()) == FULL, path


@pytest.mark.parametrize("range", ["reduced", "full"])
def test_a_layer_on_such_a_processor(range):
    """The layer's own codes through the emulated instructions: bit for bit with reduced weights, far off with full."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 8), nn.ReLU()).eval()
    with torch.no_grad():
        net[0].weight.uniform_(0.8, 1.0)
    x = torch.rand(32, 64)
    layer = Quantize(range=range)(net, context(net, x)).net[0]
    assert isinstance(layer, QuantizedLinear)
    scale, zero = layer.input.scale, layer.input.zero
    codes = (layer.input(x) / scale + zero).round().int().numpy()
    weights = layer.weights.integers().numpy()
    step = (scale * layer.weights.step()).double()
    sums = torch.from_numpy(saturating(codes, weights) - int(zero) * weights.astype(np.int64).sum(1))
    with torch.no_grad():
        got, expected = sums * step + layer.added.double(), layer(x).double()
    assert (off(got, expected) < 1e-5) == (range == "reduced")
    assert range == "reduced" or off(got, expected) > 0.1


@pytest.mark.parametrize("kind", ["static", "lstm"])
def test_what_onnxruntime_quantises_itself_does_not_overflow(kind, tmp_path):
    make, shape, _ = NETS[kind]
    x = inputs(shape=shape)
    write_graph(ready(make()), x[:2], tmp_path / "float.onnx")
    assert not overflow.file_can_overflow(tmp_path / "float.onnx")
    int8.quantise(tmp_path / "float.onnx", tmp_path / "int8.onnx", x.split(32))
    assert not overflow.file_can_overflow(tmp_path / "int8.onnx")
    wide = [t for t in onnx.load(tmp_path / "int8.onnx").graph.initializer if t.data_type == onnx.TensorProto.INT8]
    assert wide, "nothing was quantised"


@pytest.mark.parametrize("kind", ["static", "lstm"])
def test_a_file_that_overflows_here_is_known_and_computed_without(kind, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(overflow, "processor_overflows", lambda: asked.append(1) or True)
    net, x = made(kind, range="full")
    write_graph(ready(net), x[:2], tmp_path / "model.onnx")
    assert overflow.file_can_overflow(tmp_path / "model.onnx")
    with torch.no_grad():
        assert off(answers(session(tmp_path / "model.onnx"), x), net(x)) < 0.03
    assert len(asked) == 1
    session(tmp_path / "model.onnx", as_others=True)
    assert len(asked) == 1


def test_old_int8_files_load_as_they_were():
    """What was written before there were reduced weights says 8 bits for each layer, and keeps its codes."""
    net, x = made("static", range="full")
    recipe = Quantize(range="full")(small(), context(small())).recipe
    assert {fields["bits"] for fields in recipe[0]["layers"].values()} == {8}
    again = rebuild(small(seed=3), json.loads(json.dumps(list(recipe)))).eval()
    again.load_state_dict(net.state_dict())
    with torch.no_grad():
        assert torch.equal(again(x), net(x))
    tuned = rebuild(small(seed=3), [{**recipe[0], "tuning": True}])
    assert int(tuned.conv2.weights.stored().codes.abs().max()) == FULL


class _Other:
    """A session that gives every sample the answer of another."""

    def __init__(self, real):
        self.real = real

    def __getattr__(self, name):
        return getattr(self.real, name)

    def run(self, *arguments):
        (outputs,) = self.real.run(*arguments)
        return (np.roll(outputs, 1, -1),)


@pytest.mark.slow
def test_the_message_names_the_cause(tmp_path, monkeypatch, trained_int8):
    import bmx
    from bmx.verbs.export.command import export

    words = [f"run={trained_int8}", f"outputs={tmp_path}", "format=onnx"]
    exported = export(bmx.compose("export", words), quiet=True)["export"]
    assert "without VNNI" in exported["needs"], "it may be right here, and is not elsewhere"
    beside = json.loads(next(tmp_path.glob("export/*/*/model.json")).read_text())
    assert beside["needs"] == exported["needs"]
    real = onnx_file.session

    def on_avx2(path, threads=None, device=None, as_others=False):
        found = real(path, threads, device, as_others)
        return _Other(found) if as_others else found

    monkeypatch.setattr(onnx_file, "session", on_avx2)
    with pytest.raises(RunFailed) as caught:
        export(bmx.compose("export", [*words, "name=again"]), quiet=True)
    assert "overflow" in caught.value.what and "VNNI" in caught.value.what
    assert "compression.range=reduced" in caught.value.fix
    assert not list(tmp_path.glob("export/*/*again*/*.onnx"))


@pytest.fixture(scope="module")
def trained_int8(tmp_path_factory):
    """A small CNN with 8-bit weights of full range."""
    import bmx

    folder = tmp_path_factory.mktemp("int8")
    common = [f"outputs={folder}", "plots=false"]
    bmx.train(bmx.compose("train", ["data=digits", "model=mlp", "model.hidden=[32]", "epochs=1", *common]), quiet=True)
    words = ["run=latest", "compression=quantize", "compression.range=full", "epochs=0", "seconds=0.01", *common]
    bmx.compress(bmx.compose("compress", words), quiet=True)
    (run,) = folder.glob("compress/*/*")
    return run


PROGRAM = """
import sys
from pathlib import Path
import torch
from bmx.export import overflow
from bmx.export.onnx_file import session
from tests.export.test_overflow import NETS, answers, made, off, ready, write_graph

folder = Path(sys.argv[1])
print("overflows", overflow.processor_overflows())
for kind, range in [line.split("-") for line in sys.argv[2].split()]:
    net, x = made(kind, range=range)
    write_graph(ready(net), x[:2], folder / "model.onnx")
    with torch.no_grad():
        expected = net(x)
    for as_others in (False, True):
        got = answers(session(folder / "model.onnx", as_others=as_others), x)
        known = overflow.file_can_overflow(folder / "model.onnx")
        print(kind, range, as_others, known, off(got, expected))
"""
ASKED = "static-reduced dynamic-reduced lstm-reduced two_ways-reduced static-full lstm-full weights-full"


@pytest.mark.slow
@pytest.mark.skipif(not can_hide_instructions() or shutil.which("gcc") is None, reason="cannot hide instructions here")
def test_onnxruntime_on_a_processor_without_vnni(tmp_path):
    """onnxruntime itself, told that there is AVX2 and nothing later: right and wrong as the emulation says."""
    said = [line.split() for line in without_vnni(PROGRAM, tmp_path, str(tmp_path), ASKED).splitlines()]
    assert said[0] == ["overflows", "True"]
    assert len(said) == 1 + 2 * len(ASKED.split())
    far = {(kind, range, others == "True"): float(number) for kind, range, others, _, number in said[1:]}
    for kind, range, others, known, number in said[1:]:
        assert (known == "True") == (range == "full" and kind != "weights"), (kind, range)
        # The integer LSTM rounds its inputs anew in each batch, which the net in torch does not.
        if range == "reduced" or others == "False":
            assert float(number) < 0.03, (kind, range, others)
    assert far["static", "full", True] > 0.03 and far["lstm", "full", True] > 0.1
