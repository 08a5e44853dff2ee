"""Quantised nets as ONNX files: the same numbers as in torch, by integer kernels, in a small file."""

import collections

import onnx
import pytest
import torch
from torch import nn

from bmx.compression.quantize.method import Quantize
from bmx.export import overflow
from bmx.export.graph import ready
from bmx.export.onnx_file import session, write_graph
from tests.compression.quantising import context, inputs, small


def export(net, example, path):
    write_graph(ready(net), torch.cat([example, example]), path)
    return session(path, 1)


def answers(runner, x):
    return torch.from_numpy(runner.run(None, {runner.get_inputs()[0].name: x.numpy()})[0])


@pytest.mark.parametrize(
    "way",
    [{}, {"activations": "dynamic"}, {"activations": "none"}, {"activations": "none", "weights": 4, "group": 16}],
    ids=str,
)
def test_onnx_is_torch(way, tmp_path):
    net = small()
    made = Quantize(**way)(net, context(net)).net
    runner = export(made, inputs(1), tmp_path / "model.onnx")
    assert not overflow.file_can_overflow(tmp_path / "model.onnx")
    for x in (inputs(200, seed=7), inputs(1, seed=8)):
        with torch.no_grad():
            expected = made(x)
        got = answers(runner, x)
        assert (got - expected).abs().max() <= 0.02 * expected.abs().max()
        assert (got.argmax(1) == expected.argmax(1)).double().mean() >= 0.99


def test_a_tuned_net_is_exported_as_what_it_becomes(tmp_path):
    net = small()
    made = Quantize(qat=True)(net, context(net)).net
    got = answers(export(made, inputs(1), tmp_path / "model.onnx"), inputs())
    with torch.no_grad():
        assert (got - made(inputs())).abs().max() <= 0.02 * got.abs().max()


def test_convolutions_and_linear_layers_run_on_integers(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 3)),
    ).eval()
    made = Quantize()(net, context(net)).net
    export(made, inputs(1), tmp_path / "model.onnx")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), options)
    kinds = collections.Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    assert kinds["QLinearConv"] == 2 and kinds["QGemm"] == 2
    assert not kinds["Conv"] and not kinds["Gemm"] and not kinds["Relu"]
    with torch.no_grad():  # the same whole numbers, so nothing but the last sums differs
        expected = made(inputs(50, seed=3))
    torch.testing.assert_close(answers(session(tmp_path / "model.onnx"), inputs(50, seed=3)), expected)


def test_the_file_holds_integers(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 3)).eval()
    x = inputs(shape=(8, 8, 8))
    export(net, x[:1], tmp_path / "float.onnx")
    whole = (tmp_path / "float.onnx").stat().st_size
    for way, share in [({}, 0.27), ({"activations": "none"}, 0.27), ({"activations": "none", "weights": 4}, 0.18)]:
        export(Quantize(**way)(net, context(net, x)).net, x[:1], tmp_path / "small.onnx")
        assert (tmp_path / "small.onnx").stat().st_size <= share * whole, way


def test_an_lstm_is_quantised_by_onnxruntime(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cells = nn.LSTM(16, 32, batch_first=True)
            self.head = nn.Linear(32, 3)

        def forward(self, x):
            return self.head(self.cells(x.flatten(2))[0][:, -1])

    torch.manual_seed(0)
    net, x = Net().eval(), inputs(shape=(8, 16))
    made = Quantize()(net, context(net, x)).net
    got = answers(export(made, x[:1], tmp_path / "model.onnx"), x)
    with torch.no_grad():
        assert (got - made(x)).abs().max() <= 0.05 * made(x).abs().max()
    assert not overflow.file_can_overflow(tmp_path / "model.onnx")
    assert "DynamicQuantizeLSTM" in {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
