"""Graphs take batches of any size, whatever the code of a net does with the size of its batch."""

import onnxruntime
import pytest
import torch

from bmx.compression.quantize.method import Quantize
from bmx.export.graph import ready, traced
from bmx.export.onnx_file import write_graph
from tests.compression.kinds_of_nets import SHAPE, made
from tests.compression.quantising import context, inputs


@pytest.mark.parametrize("word", ["FromSizes", "Shuffled"])
def test_a_net_that_asks_for_the_length_of_its_batch(word, tmp_path):
    net = ready(made(word))
    path, example = tmp_path / "model.onnx", torch.zeros(2, *SHAPE)
    write_graph(net, example, path)
    session, graph = onnxruntime.InferenceSession(path), traced(net, example).module()
    for samples in (1, 3, 8):
        x = torch.randn(samples, *SHAPE)
        with torch.no_grad():
            expected = net(x)
            torch.testing.assert_close(graph(x), expected, rtol=1e-4, atol=1e-5)
        (found,) = session.run(None, {"input": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activations", ["int8", "none"])
def test_such_a_net_with_whole_numbers(activations, tmp_path):
    net, x = made("Shuffled").eval(), inputs(8, shape=SHAPE)
    small = Quantize(activations=activations)(net, context(net, x)).net
    path = tmp_path / "model.onnx"
    write_graph(ready(small), x[:2], path)
    session = onnxruntime.InferenceSession(path)
    for samples in (1, 3, 8):
        with torch.no_grad():
            expected = small(x[:samples])
        (found,) = session.run(None, {"input": x[:samples].numpy()})
        assert (torch.from_numpy(found) - expected).abs().max() <= 0.02 * expected.abs().max()
