"""Graphs take batches of any size, whatever the code of a net does with the size of its batch."""

import onnxruntime
import pytest
import torch

from bmx.export.graph import ready, traced
from bmx.export.onnx_file import write_graph
from tests.compression.kinds_of_nets import SHAPE, made


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
