"""A package that is not installed is found missing before anything is written, and what installs it is told."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from bmx import extras
from bmx.cli.main import main
from bmx.errors import UsageError

QUICK = ["data=iris", "model=mlp", "epochs=1", "plots=false"]
TUCKER = ["compression=low_rank", "compression.decomposition=tucker", "compression.rule=energy"]

ASKED = [
    ("tensorboard", ["train", *QUICK, "logger=tensorboard"]),
    ("wandb", ["train", *QUICK, "logger=wandb"]),
    ("mlflow", ["train", *QUICK, "logger=mlflow"]),
    ("mlflow", ["train", *QUICK, "logger=[csv,mlflow]"]),
    ("mlflow", ["distill", "teacher=mlp", "student=mlp", "data=iris", "epochs=1", "logger=mlflow"]),
    ("mlflow", ["compress", "run=RUN", "compression=prune", "logger=mlflow"]),
    ("mlflow", ["sweep", *QUICK, "lr=0.1,0.2", "logger=mlflow"]),
    ("mlflow", ["train", *QUICK, "+logger.x={_target_: pytorch_lightning.loggers.MLFlowLogger}"]),
    ("wandb", ["train", *QUICK, "+logger.x={_target_: pytorch_lightning.loggers.WandbLogger}"]),
    ("onnx", ["bench", "run=RUN", "engines=onnx"]),
    ("onnx", ["bench", "model=lenet5", "engines=[eager,onnx_int8]"]),
    ("onnx", ["compress", "run=RUN", "compression=prune", "engines=onnx_int8"]),
    ("onnx", ["compress", "run=RUN", "compression=prune", "engines=[eager,onnx,onnx_int8]"]),
    ("onnx", ["compress", "run=RUN", "compression=pipeline", "stages=[prune]", "engines=[onnx_int8]"]),
    ("onnx", ["export", "run=RUN", "format=onnx"]),
    ("onnx", ["evaluate", "run=RUN/model.onnx"]),
    ("safetensors", ["export", "run=RUN", "format=safetensors"]),
    ("safetensors", ["evaluate", "run=RUN/model.safetensors"]),
    ("safetensors", ["compress", "run=RUN/model.safetensors", "compression=prune"]),
    ("tensorly", ["compress", "run=RUN", *TUCKER]),
    ("tensorly", ["train", *QUICK, *TUCKER]),
    ("optuna", ["sweep", *QUICK, "sweeper=tpe", "lr=tag(log,interval(0.01,0.1))", "trials=2"]),
    ("submitit", ["sweep", *QUICK, "lr=0.1,0.2", "launcher=submitit_slurm"]),
    ("joblib", ["sweep", *QUICK, "lr=0.1,0.2", "launcher=joblib"]),
    ("ray", ["sweep", *QUICK, "lr=0.1,0.2", "launcher=ray"]),
]


@pytest.fixture
def here(tmp_path, monkeypatch, trained_run):
    monkeypatch.chdir(tmp_path)
    for ending in ("onnx", "safetensors"):
        Path(f"model.{ending}").write_bytes(b"x")
    return tmp_path


def _hide(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in extras.EXTRAS[extra]:
        if not module.startswith("hydra_plugins"):
            monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize(
    ("extra", "command"), ASKED, ids=lambda value: value if isinstance(value, str) else value[-1][:40]
)
def test_it_is_refused_before_anything_is_written(here, trained_run, monkeypatch, capsys, extra, command):
    _hide(extra, monkeypatch)
    before = sorted(here.rglob("*"))
    words = [w.replace("RUN/", f"{here}/").replace("RUN", str(trained_run)) for w in command]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert f"pip install 'bmx[{extra}]'" in said, said
    assert said.startswith("bmx: ")
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("command", [["bench", "model=mlp", "data=iris"], ["compress", "run=RUN", "compression=prune"]])
def test_a_compiler_that_is_missing_is_told_before_anything_is_written(here, trained_run, monkeypatch, capsys, command):
    monkeypatch.setenv("CXX", "no-such-compiler")
    before = sorted(here.rglob("*"))
    words = [w.replace("RUN", str(trained_run)) for w in command]
    assert main([*words, "engines=[eager,compile]"]) == 2
    assert "torch.compile needs a C++ compiler" in capsys.readouterr().err
    assert sorted(here.rglob("*")) == before


def test_what_is_advised_is_an_extra_of_the_package():
    """Every extra that an error names can be installed, and brings the modules that are looked for."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^(\w+) = \[([^\]]*)\]", text.partition("[project.optional-dependencies]")[2], re.M))
    brings = {"mlflow": "mlflow-skinny"}
    for extra, modules in extras.EXTRAS.items():
        assert extra in listed
        for module in modules:
            name = module.rpartition(".")[2]
            assert brings.get(name, name).replace("_", "-") in listed[extra], (extra, module)
    assert set(extras.LAUNCHERS.values()) <= set(extras.EXTRAS)


@pytest.mark.parametrize("how", ["hidden", "a finder that refuses", "a broken parent"])
def test_missing_however_it_is_missing(monkeypatch, how):
    if how == "hidden":
        monkeypatch.setitem(sys.modules, "optuna", None)
    else:
        monkeypatch.delitem(sys.modules, "optuna", raising=False)

        class Refusing:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == "optuna":
                    raise ModuleNotFoundError(name) if how.startswith("a finder") else ImportError("broken")
                return

        monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    assert not extras.is_there("optuna")
    with pytest.raises(UsageError) as error:
        extras.need("optuna", "sweeper=tpe", "sweeper=tpe", "list the values")
    assert error.value.lines()[2].endswith("pip install 'bmx[optuna]', or list the values")


def test_a_function_that_needs_a_package_is_told_with_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BMX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert main(["train", "data=iris", "model=mlp", "epochs=1", "plots=false"]) == 2
    said = capsys.readouterr().err
    assert "bmx.data.tables.iris needs what is not there" in said and "sklearn.datasets" in said
    assert "install" in said.partition("do:")[2]
    assert not (tmp_path / "outputs").exists()
