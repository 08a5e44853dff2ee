import importlib.util
from pathlib import Path

import pytest
import torch

from bmx.errors import RunFailed, UsageError
from bmx.export import engines, writing
from bmx.export.extras import need
from tests.export.conftest import Case

CPU = torch.device("cpu")


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_names_the_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == package else find(name, *a))
    for ask in (
        lambda: need("onnx", "here"),
        lambda: engines.check(["eager", "onnx"]),
        lambda: writing.check("onnx", "inside"),
    ):
        with pytest.raises(UsageError) as error:
            ask()
        assert package in error.value.what and "bmx[onnx]" in error.value.fix
    engines.check(["eager", "compile"])
    writing.check("pt2", "inside")


def test_unknown_words() -> None:
    with pytest.raises(UsageError, match="no engine 'onx'"):
        engines.check(["onx"])
    with pytest.raises(UsageError, match="no format 'onyx'"):
        writing.check("onyx", "inside")
    with pytest.raises(UsageError, match="preprocessing cannot be 'outside'"):
        writing.check("onnx", "outside")


def test_float_and_int8_in_onnxruntime_give_nearly_the_same(images: Case, tmp_path: Path) -> None:
    net, inputs = images.predictor.net, images.predictor.input_stage(images.arrays.inputs)
    made = {
        name: engines.make(name, net, inputs[:2], CPU, tmp_path, inputs.split(10))
        for name in ("eager", "onnx", "onnx_int8")
    }
    want = net(inputs).detach()
    assert torch.equal(made["eager"].run(inputs), want)
    assert torch.allclose(made["onnx"].run(inputs), want, atol=1e-5)
    off = (made["onnx_int8"].run(inputs) - want).abs().max()
    assert 0 < off < 0.2 * want.abs().max()
    assert made["onnx_int8"].bytes < 0.4 * made["onnx"].bytes


def test_a_recurrent_model_is_quantised_too(tmp_path: Path) -> None:
    class Recurrent(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.LSTM(8, 64, batch_first=True)
            self.head = torch.nn.Linear(64, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.layer(x)[0][:, -1])

    net = Recurrent().eval()
    plain = engines.make("onnx", net, torch.zeros(2, 5, 8), CPU, tmp_path)
    small = engines.make("onnx_int8", net, torch.zeros(2, 5, 8), CPU, tmp_path, [])
    assert small.bytes < 0.5 * plain.bytes


def test_a_model_that_cannot_be_followed_says_who_could_not(tmp_path: Path) -> None:
    class Choosy(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum().item() > 0 else -x

    with pytest.raises(RunFailed, match="cannot follow this model"):
        engines.make("onnx", Choosy(), torch.zeros(2, 3), CPU, tmp_path)


@pytest.mark.slow
def test_a_compiled_model_gives_the_same(images: Case, tmp_path: Path) -> None:
    inputs = images.predictor.input_stage(images.arrays.inputs)
    compiled = engines.make("compile", images.predictor.net, inputs[:2], CPU, tmp_path)
    assert torch.allclose(compiled.run(inputs), images.predictor.net(inputs), atol=1e-5)


def test_a_model_that_the_compiler_cannot_do_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("\nC++ compile error\nCommand: g++")

    monkeypatch.setattr(torch, "compile", lambda model, **_: Broken())
    net, inputs = torch.nn.Linear(3, 1), torch.zeros(2, 3)
    with pytest.raises(RunFailed, match=r"^torch\.compile cannot do this model: C\+\+ compile error$") as refused:
        engines.make("compile", net, inputs, CPU, tmp_path)
    assert (refused.value.where, refused.value.fix) == ("engines=compile", "leave it out of engines=")
    assert engines.make("eager", net, inputs, CPU, tmp_path).run(inputs).shape == (2, 1)
