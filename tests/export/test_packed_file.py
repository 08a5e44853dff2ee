"""Packed files: the same answers bit for bit, from few bytes; damaged ones are refused."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

import bmx
from bmx.compression.deep.method import Deep
from bmx.compression.prune_structured.method import PruneStructured
from bmx.data.spec import DataSpec
from bmx.engine.build import make_model
from bmx.engine.predictor import Predictor, lay_out
from bmx.errors import RunFailed, UsageError
from bmx.export import packed_file
from bmx.export.description import describe
from bmx.export.packed_file import read, write
from bmx.export.reading import load
from tests.compression.pruning import context
from tests.export.conftest import Case, make

SPEC = DataSpec("mnist_5k", "image", (1, 28, 28), 10, tuple("0123456789"))


def pack(predictor: Predictor, path: Path, dtype: torch.dtype = torch.uint8) -> Path:
    write(predictor, describe(predictor, "inside", dtype, {}), path)
    return path


def compressed(method, word: str = "lenet5_caffe") -> Predictor:
    cfg = bmx.compose("train", [f"model={word}", "data=mnist_5k"])
    torch.manual_seed(0)
    given = context(SPEC, torch.zeros(1, *SPEC.input_shape))
    outcome = method(make_model(cfg.model, SPEC).eval(), given)
    outcome = outcome.finish(outcome.net, given) if outcome.finish else outcome
    lay_out(outcome.net, cfg, SPEC)
    stage = make("image").predictor.input_stage
    return Predictor(outcome.net, stage, SPEC, OmegaConf.create(OmegaConf.to_container(cfg, resolve=True)),
                     outcome.recipe).eval()  # fmt: skip


def images(n: int = 30) -> torch.Tensor:
    return torch.randint(0, 256, (n, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def deep(tmp_path_factory) -> tuple[Predictor, Path]:
    predictor = compressed(Deep(sparsity=0.97))
    return predictor, pack(predictor, tmp_path_factory.mktemp("packed") / "model.bmxp")


def test_deep_compression_of_lenet_is_a_hundred_times_smaller_and_exact(deep) -> None:
    predictor, path = deep
    assert path.stat().st_size * 100 < 4 * 431_080
    loaded = load(path)
    assert torch.equal(loaded.model(images()), predictor(images()))
    assert loaded.config == predictor.config and loaded.spec == SPEC
    assert loaded.cost().bytes == path.stat().st_size
    assert loaded.cost().nonzero_parameters == sum(int(p.count_nonzero()) for p in predictor.parameters())


def test_the_header_costs_a_few_hundred_bytes(deep) -> None:
    assert int.from_bytes(deep[1].read_bytes()[9:13], "little") < 400


def test_any_model_can_be_packed(case: Case, tmp_path: Path) -> None:
    path = pack(case.predictor, tmp_path / "model.bmxp", case.raw_dtype)
    lay_out(case.predictor.net, case.predictor.config, case.predictor.spec)
    again, description = read(path)
    assert torch.equal(again(case.arrays.inputs), case.predictor(case.arrays.inputs))
    assert description.input_stage().state_dict().keys() == case.predictor.input_stage.state_dict().keys()
    dense = sum(4 * p.numel() for p in case.predictor.parameters())
    assert path.stat().st_size < dense + 1500


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions(dtype: torch.dtype, tmp_path: Path) -> None:
    case = make("table")
    case.predictor.to(dtype)
    again, _ = read(pack(case.predictor, tmp_path / "model.bmxp", torch.float32))
    assert torch.equal(again(case.arrays.inputs), case.predictor(case.arrays.inputs))


@pytest.mark.parametrize("word", ["vit", "cnn"])
def test_a_net_with_fewer_channels_is_built_again(word: str, tmp_path: Path) -> None:
    predictor = compressed(PruneStructured(ratio=0.6), word)
    again, description = read(pack(predictor, tmp_path / "model.bmxp"))
    assert torch.equal(again(images()), predictor(images()))
    assert description.recipe == predictor.recipe == again.recipe


def test_a_net_with_fewer_channels_is_built_again_from_safetensors(tmp_path: Path) -> None:
    from bmx.export import writing

    predictor = compressed(PruneStructured(ratio=0.6))
    path = tmp_path / "model.safetensors"
    writing.write("safetensors", predictor, describe(predictor, "inside", torch.uint8, {}), path)
    assert torch.equal(load(path).model(images()), predictor(images()))


@pytest.mark.parametrize("where", [0.0, 0.003, 0.1, 0.5, 0.999])
def test_a_changed_byte_is_refused(deep, where: float, tmp_path: Path) -> None:
    data = bytearray(deep[1].read_bytes())
    data[int(where * len(data))] ^= 0x40
    path = tmp_path / "model.bmxp"
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        load(path)
    assert len(caught.value.lines()) == 3


@pytest.mark.parametrize("length", [0, 3, 8, 12, 200, 5000])
def test_a_file_that_was_cut_off_is_refused(deep, length: int, tmp_path: Path) -> None:
    path = tmp_path / "model.bmxp"
    path.write_bytes(deep[1].read_bytes()[:length])
    with pytest.raises(UsageError):
        load(path)


def test_a_file_of_a_later_version_says_so(deep, tmp_path: Path) -> None:
    data = bytearray(deep[1].read_bytes())
    data[4] = 99
    path = tmp_path / "model.bmxp"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="another version"):
        load(path)


def test_a_model_that_is_built_otherwise_now_is_refused(deep, monkeypatch) -> None:
    def other(config, spec):
        net = make_model(config, spec)
        net.head = torch.nn.Linear(500, 10, bias=False)
        return net

    monkeypatch.setattr(packed_file, "make_model", other)
    with pytest.raises(UsageError, match="as this version builds it"):
        load(deep[1])


def test_there_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "none.bmxp")


def test_state_that_is_no_tensor_cannot_be_packed(tmp_path: Path) -> None:
    class Odd(torch.nn.Linear):
        def get_extra_state(self):
            return {"a": 1}

        def set_extra_state(self, state):
            pass

    case = make("table")
    case.predictor.net.head = Odd(8, 1)
    with pytest.raises(RunFailed, match="no tensor"):
        pack(case.predictor, tmp_path / "model.bmxp")
