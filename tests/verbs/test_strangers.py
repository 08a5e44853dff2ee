"""A stranger's run through every verb that takes one: what it names is not called, and nothing is written."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from omegaconf import OmegaConf

import bmx
from bmx.cli.main import main
from bmx.config.formats import formats
from bmx.errors import UsageError
from tests.engine.forging import forged, nested

QUICK = ["plots=false", "epochs=1", "trainer.threads=1"]


class _Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bomb(here):
    """A pickle that leaves a mark, and the names that would set it off or write where they like."""
    mark, file = here / "mark", here / "evil.npy"
    file.write_bytes(pickle.dumps(_Bomb(mark)))
    np.save(here / "evil2.npy", np.array([_Bomb(mark)], dtype=object), allow_pickle=True)
    names = [
        ("numpy.load", {"file": str(here / "evil2.npy"), "allow_pickle": True}),
        ("pickle.load", {"file": str(file)}),
        ("torch.load", {"f": str(file), "weights_only": False}),
        ("os.system", {"command": f"touch {mark}"}),
        ("bmx.cli.main.os.system", {"command": f"touch {mark}"}),
        ("subprocess.run", {"args": ["touch", str(mark)]}),
        ("matplotlib.pyplot.savefig", {"fname": str(mark)}),
        ("pathlib.Path.touch", {"self": str(mark)}),
        ("torch.hub.load", {"repo_or_dir": str(here), "model": "x", "source": "local"}),
        ("bmx.engine.durable.write", {"path": str(mark), "fill": None}),
        ("builtins.exec", {"_args_": [f"open({str(mark)!r}, 'w')"]}),
    ]
    return mark, names


def test_bmx_load_calls_nothing_that_a_run_names(trained_run, bomb, here):
    mark, names = bomb
    for name, fields in names:
        for model in nested(name, **fields):
            run = forged(trained_run, here / "run", model=model)
            with pytest.raises(UsageError) as error:
                bmx.load(run)
            assert name in error.value.what and "trust=" in error.value.fix
            assert len(error.value.lines()) == 3
    assert not mark.exists()


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "run=RUN"],
        ["bench", "run=RUN", "seconds=0.01"],
        ["export", "run=RUN", "format=packed"],
        ["compress", "run=RUN", *QUICK],
        ["distill", "teacher=RUN", "student=mlp", "data=digits", *QUICK],
        ["distill", "teacher=mlp", "student=RUN", "data=digits", *QUICK],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_no_verb_calls_what_a_run_names(trained_run, bomb, here, capsys, command):
    _, names = bomb
    before = sorted(here.rglob("*"))
    for name, fields in names[:5]:
        run = forged(trained_run, here / "forged" / "run", model={"_target_": name, **fields})
        assert main([word.replace("RUN", str(run)) for word in command]) == 2
        said = capsys.readouterr().err.splitlines()
        assert name in said[0] and "_target_" in said[1] and "trust=" in said[2]
    shutil.rmtree(here / "forged")
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("verb", ["evaluate", "export", "compress"])
def test_the_data_of_a_run_are_judged_as_its_model_is(trained_run, bomb, here, capsys, verb):
    mark, names = bomb
    more = QUICK if verb == "compress" else []
    for name, fields in [*names[:4], ("bmx.models.mlp.MLP", {}), ("bmx.data.pipeline.spooling.keep_on_disk", {})]:
        data = {"_target_": name, "val_size": 0.1, "in_memory": "auto", "workers": 0, **fields}
        run = forged(trained_run, here / "run", data=data)
        assert main([verb, f"run={run}", *more]) == 2
        said = capsys.readouterr().err
        assert name in said and "data._target_" in said
        bmx.load(run)  # the model alone is as good as it was
    assert not mark.exists() and not (here / "outputs").exists()


def test_weights_are_taken_from_any_file_and_call_nothing(trained_run, bomb, here):
    mark, names = bomb
    name, fields = names[0]
    run = forged(trained_run, here / "run", model={"_target_": name, **fields})
    words = ["model=mlp", "model.hidden=[32]", "data=digits", *QUICK]
    assert main(["train", *words, f"init_from={run / 'checkpoints' / 'best.ckpt'}"]) == 0
    assert not mark.exists()


@pytest.mark.parametrize("format", [name for name, row in formats().items() if row.of_weights])
def test_exported_files_are_judged_too(trained_run, bomb, here, format, capsys):
    from bmx.export.description import describe
    from bmx.export.writing import write

    mark, names = bomb
    predictor = bmx.load(trained_run)
    file = here / f"model{formats()[format].suffix}"
    for name, fields in names:
        OmegaConf.set_struct(predictor.config, False)
        predictor.config.model = {"_target_": name, **fields}
        description = describe(predictor, "inside", torch.uint8, {})
        write(format, predictor, description, file)
        with pytest.raises(UsageError, match="the run names") as error:
            bmx.load(file)
        assert name in error.value.what
    assert main(["evaluate", f"run={file}"]) == 2
    assert not mark.exists()


def test_a_checkpoint_that_is_a_pickle_is_not_loaded(bomb, here):
    mark, _ = bomb
    torch.save({"format": "bmx-model/1", "x": _Bomb(mark)}, here / "evil.ckpt")
    with pytest.raises(UsageError, match="more than plain tensors"):
        bmx.load(here / "evil.ckpt")
    assert not mark.exists()


MINE = """
import torch


class Net(torch.nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.fc = torch.nn.Linear(4, num_classes)

    def forward(self, x):
        return self.fc(x)
"""


def test_ones_own_model_goes_through_every_verb_and_elsewhere_by_trust(here, monkeypatch, capsys):
    """Trained, measured, exported, made smaller and taught where the module lies; from another folder with trust=."""
    (here / "own_net_of_test.py").write_text(MINE)
    words = ["model._target_=own_net_of_test.Net", "~model.hidden", "~model.activation", "~model.dropout", "model=mlp"]
    assert main(["train", *words, "data=iris", *QUICK]) == 0
    (run,) = (here / "outputs" / "train").glob("*/*")
    assert main(["evaluate", "run=latest", "plots=false"]) == 0
    assert main(["export", "run=latest", "format=packed", "file=model.bmxp"]) == 0
    assert main(["compress", "run=latest", "compression=prune", *QUICK, "engines=[]"]) == 0
    elsewhere = here / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.syspath_prepend(str(here))
    import sys

    sys.modules.pop("own_net_of_test", None)
    capsys.readouterr()
    assert main(["evaluate", f"run={run}", "plots=false"]) == 2
    said = capsys.readouterr().err
    assert "trust=own_net_of_test" in said and "own_net_of_test" not in sys.modules
    assert main(["evaluate", f"run={run}", "plots=false", "trust=own_net_of_test"]) == 0
    assert type(bmx.load(run, trust="own_net_of_test").net).__name__ == "Net"
    with pytest.raises(UsageError, match="not said that you trust"):
        bmx.load(run)
    with pytest.raises(UsageError, match="part of Python"):
        bmx.load(run, trust="os")


@pytest.fixture
def stopped(here, capsys):
    """A run of one's own that can be gone on with."""
    assert main(["train", "data=iris", "model=mlp", *QUICK]) == 0
    (run,) = (here / "outputs" / "train").glob("*/*")
    capsys.readouterr()
    return run


def _bring(run: Path, *words: str) -> None:
    file = run / ".hydra" / "overrides.yaml"
    file.write_text(yaml.safe_dump([*yaml.safe_load(file.read_text()), *words]))


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("model._target_=os.system", "os.system"),
        ("optim._target_=subprocess.run", "subprocess.run"),
        ("scheduler._target_=bmx.cli.main.os.system", "bmx.cli.main.os.system"),
        ("data._target_=numpy.load", "numpy.load"),
        ("trainer.callbacks=[{_target_: os.system, command: touch mark}]", "os.system"),
        ("trainer.callbacks=[{_target_: pytorch_lightning.callbacks.ModelCheckpoint, dirpath: /tmp/x}]", "/tmp/x"),
        (
            "trainer.callbacks=[{_target_: pytorch_lightning.callbacks.LambdaCallback, setup: {_target_: os.system}}]",
            "os.system",
        ),
        ("+logger.x={_target_: os.system, command: touch mark}", "os.system"),
        ("+logger.mlflow={_target_: bmx.engine.loggers.mlflow, tracking_uri: 'http://evil'}", "http://evil"),
        ("+optim.x={_target_: os.system, command: touch mark}", "os.system"),
        ("hydra.callbacks.x={_target_: os.system}", "about Hydra itself"),
        ("+hydra.callbacks.x={_target_: os.system}", "about Hydra itself"),
        ("hydra/job_logging=default", "about Hydra itself"),
        ("+model@hydra.callbacks.x=mlp", "about Hydra itself"),
        ("hydra.searchpath=[file:///tmp]", "about Hydra itself"),
    ],
)
def test_a_run_that_is_taken_up_brings_no_code(stopped, here, capsys, word, told):
    _bring(stopped, word, "trust=[os,subprocess]")
    before = sorted(here.rglob("*"))
    assert main(["train", f"resume={stopped}", "epochs=2"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert told in said[0] and str(stopped) in said[1] and len(said) == 3
    assert sorted(here.rglob("*")) == before and not (here / "mark").exists()


def test_what_is_typed_to_a_run_that_is_taken_up_is_ones_own(stopped, here, capsys):
    """What the run brings is replaced by what the command line says, and that may be anything."""
    _bring(stopped, "trainer.callbacks=[{_target_: os.system, command: touch mark}]")
    assert main(["train", f"resume={stopped}", "epochs=2", "trainer.callbacks=[]"]) == 0
    (here / "own_callback_of_test.py").write_text(
        "from pytorch_lightning import Callback\nclass Mine(Callback):\n    pass\n"
    )
    mine = "trainer.callbacks=[{_target_: own_callback_of_test.Mine}]"
    assert main(["train", f"resume={stopped}", "epochs=3", mine]) == 0
    assert main(["train", f"resume={stopped}", "epochs=4"]) == 0  # the module lies where the user stands


@pytest.mark.parametrize("where", ["in the run", "outside"])
@pytest.mark.parametrize("file", ["hydra", "model"])
def test_a_folder_of_words_that_a_run_names_does_nothing_to_hydra(stopped, here, capsys, where, file):
    folder = (stopped if where == "in the run" else here.parent / f"{here.name}-more") / "conf"
    node = "_target_: os.system\ncommand: touch mark\n"
    if file == "hydra":
        text = "# @package _global_\nhydra:\n  callbacks:\n    x:\n      " + node.replace("\n", "\n      ").strip()
        (folder / "experiment").mkdir(parents=True)
        (folder / "experiment" / "evil.yaml").write_text(text + "\n")
        _bring(stopped, "experiment=evil")
    else:
        (folder / "model").mkdir(parents=True)
        (folder / "model" / "evil.yaml").write_text(node)
        _bring(stopped, "model=evil")
    known = stopped / ".hydra" / "hydra.yaml"
    kept = yaml.safe_load(known.read_text())
    kept["hydra"]["runtime"]["config_sources"].append(
        {"path": str(folder), "schema": "file", "provider": "command-line"}
    )
    known.write_text(yaml.safe_dump(kept))
    assert main(["train", f"resume={stopped}", "epochs=2"]) == 2
    said = capsys.readouterr().err
    assert not (here / "mark").exists()
    if where == "in the run":
        assert "it was not read" in said and f"--config-dir {folder}" in said
    elif file == "hydra":
        assert "sets hydra.callbacks" in said
    else:
        assert "os.system" in said.splitlines()[0] and "not called" in said
