"""What a stranger's configuration may name: hundreds of callables that take a path, a command or a pickle, and none is
imported or called."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from bmx.engine.places import PLACES
from bmx.engine.trust_check import judged
from bmx.errors import UsageError
from bmx.targets.standing import trusting

# The modules whose callables are tried, of Python, of what bmx needs, and of bmx.
_MODULES = """
os os.path posix shutil subprocess pickle marshal shelve dbm importlib runpy code codeop builtins io tempfile tarfile
zipfile gzip bz2 lzma ctypes ctypes.util multiprocessing multiprocessing.shared_memory threading socket ssl ftplib
smtplib urllib.request http.client http.server socketserver webbrowser sqlite3 xml.etree.ElementTree csv json logging
logging.config logging.handlers configparser pathlib glob fileinput linecache mmap pty signal sysconfig site venv
zipimport pkgutil pydoc timeit trace pdb cProfile profile copyreg functools operator types asyncio concurrent.futures
numpy numpy.lib.npyio numpy.ctypeslib numpy.f2py scipy.io scipy.sparse matplotlib matplotlib.pyplot matplotlib.image
PIL.Image PIL.ImageShow yaml pandas sklearn.datasets joblib mlxtend.data hydra.utils omegaconf OmegaConf fsspec
filelock platformdirs sympy torch torch.hub torch.jit torch.serialization torch.package torch.fx torch.export
torch.utils.cpp_extension torch.utils.data torch.utils.dlpack torch.utils.tensorboard torch.multiprocessing
torch.distributed torch.distributed.checkpoint torch.profiler torch.cuda torch.library torch.onnx torch.compiler
torch.ops torch.classes torch.nn torch.nn.init torch.nn.functional torch.nn.utils torch.nn.utils.parametrize
torch.optim torch.optim.swa_utils torch.ao.quantization torchvision torchvision.datasets torchvision.io
torchvision.transforms torchvision.transforms.v2 torchvision.utils torchvision.models torchvision.ops
safetensors.torch onnx onnxruntime pytorch_lightning pytorch_lightning.callbacks pytorch_lightning.loggers
pytorch_lightning.trainer lightning_fabric bmx bmx.engine.predictor bmx.engine.durable bmx.engine.loggers
bmx.engine.build bmx.engine.fit bmx.engine.checkpoints bmx.export.reading bmx.export.pt2_file bmx.export.onnx_file
bmx.export.packed_file bmx.export.safetensors_file bmx.verbs.train.command bmx.verbs.evaluate.command bmx.verbs.load
bmx.runs.directory bmx.runs.result bmx.runs.locking bmx.cli.main bmx.data.pipeline.cache
bmx.data.pipeline.download bmx.data.pipeline.idx bmx.data.pipeline.rows bmx.data.pipeline.spooling
bmx.data.arrays bmx.compression.recipe
bmx.sweep.workers.child bmx.targets.locating bmx.models.torchvision bmx.packing.tensors
"""
MODULES = _MODULES.split()

_CHAINS = """
bmx.cli.main.os.system bmx.engine.build.instantiate torch.serialization.os.system torch.serialization.pickle.loads
torch.nn.modules.module.warnings.warn torch.nn.modules.module.torch.load torch.nn.Linear.load_state_dict
torch.nn.Linear.__init__ torch.nn.Module.__subclasses__ torch.nn.functional.importlib.import_module
torchvision.models.resnet.nn.Module.load_state_dict torchvision.models._api.importlib.import_module
bmx.models.torchvision.torch.hub.load bmx.models.torchvision.Path bmx.models.mlp.nn.modules.module.torch.load
bmx.data.mnist_5k.np.load bmx.data.cifar.pickle.loads bmx.data.cifar._unpickle bmx.data.cifar._ArraysOnly
torch.optim.Optimizer.load_state_dict torch.hub.os.system torch.utils.collect_env.run torch.testing._internal.x
os.path.os.system . .. a..b torch..nn torch.nn. __import__ eval lambda
"""
CHAINS = _CHAINS.split()


def callables() -> list[str]:
    """The public callables of those modules that are there, by the name they are found under."""
    names: dict[str, None] = dict.fromkeys(CHAINS)
    for module in MODULES:
        try:
            loaded = importlib.import_module(module)
        except Exception:  # not installed here, or not importable here
            continue
        for name in dir(loaded):
            if not name.startswith("__") and callable(getattr(loaded, name, None)):
                names[f"{module}.{name}"] = None
    return list(names)


@pytest.fixture(scope="module")
def names() -> list[str]:
    found = callables()
    assert len(found) > 3000, "too little is tried"
    return found


@pytest.mark.parametrize("group", list(PLACES))
def test_nothing_but_what_the_place_needs_passes(names, group, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place, passed = PLACES[group], []
    before, path = set(sys.modules), list(sys.path)
    known = tuple(package.rstrip(".") for package in place.packages)
    # All of them as models; elsewhere some thousand, and whatever lies where such things are.
    tried = names if group == "model" else [n for i, n in enumerate(names) if i % 7 == 0 or n.startswith(known)]
    for name in tried:
        try:
            judged({"_target_": name}, group, tmp_path / "run" / "checkpoints" / "best.ckpt")
        except UsageError as error:
            assert len(error.lines()) == 3 and name in error.what, error.lines()
            continue
        passed.append(name)
    for name in passed:
        found = _object(name)
        assert place.knows(found), name
        if inspect.isclass(found) and place.bases:
            assert issubclass(found, place.bases), name
        assert _defined_in(found).startswith(("bmx.", "torch.", "torchvision.", "pytorch_lightning.")), name
    allowed = {"bmx", "torch", "torchvision", "pytorch_lightning", "lightning_fabric", "lightning_utilities"}
    new = {module.partition(".")[0] for module in set(sys.modules) - before} - allowed
    assert not new & {name.partition(".")[0] for name in names}, "judging has imported what it judged"
    assert sys.path == path
    _say_what_is_wanted(group, passed)


def _say_what_is_wanted(group: str, passed: list[str]) -> None:
    expected = {
        "model": {"torch.nn.Linear", "torchvision.models.ResNet", "torchvision.models.resnet18"},
        "optim": {"torch.optim.SGD"},
        "trainer.callbacks": {"pytorch_lightning.callbacks.EarlyStopping"},
        "logger": {"bmx.engine.loggers.tensorboard", "bmx.engine.loggers.wandb", "bmx.engine.loggers.mlflow"},
    }
    assert expected.get(group, set()) <= set(passed)
    forbidden = re.compile(r"(^|\.)(load|save|system|exec\w*|eval|open|run|Popen|compile|loads|savefig|\w+2?Onnx\w*)$")
    assert not [name for name in passed if forbidden.search(name)]


def _object(name: str) -> object:
    found: object = importlib.import_module(name.partition(".")[0])
    for number, part in enumerate(name.split(".")[1:], 2):
        if not hasattr(found, part):
            importlib.import_module(".".join(name.split(".")[:number]))
        found = getattr(found, part)
    return found


def _defined_in(found: object) -> str:
    return str(getattr(found, "__module__", "")) + "."


def test_no_module_that_passes_takes_a_path(tmp_path):
    """Every class of torch and torchvision that may be a model: none is made from a file, a command or code.

    Functions that they take come as targets of their own, which are judged alike."""
    seen: set[type] = set()
    waiting = [nn.Module]
    while waiting:
        waiting += (new := [c for c in waiting.pop().__subclasses__() if c not in seen])
        seen.update(new)
    known = [kind for kind in seen if PLACES["model"].knows(kind) and not kind.__module__.startswith("bmx.")]
    assert len(known) > 200
    risky = re.compile(r"(^|_)(path|file|filename|dir|directory|url|root|code|command|script|bytes|buffer)s?($|_)")
    for kind in known:
        taken = [name for name in inspect.signature(kind).parameters if risky.search(name)]
        assert not taken, (kind, taken)
        assert not issubclass(kind, torch.jit.ScriptModule | torch.fx.GraphModule)


@pytest.mark.parametrize(
    ("group", "node", "told"),
    [
        ("trainer.callbacks", {"_target_": "pytorch_lightning.callbacks.ModelCheckpoint", "dirpath": "/etc"}, "/etc"),
        ("logger", {"_target_": "bmx.engine.loggers.mlflow", "tracking_uri": "http://evil"}, "http://evil"),
        ("data", {"_target_": "bmx.data.mnist.mnist", "dir": "/no/such/folder"}, "/no/such/folder"),
        ("model", {"_target_": "bmx.models.mlp.MLP", "hidden": ["${oc.create:{_target_:os.system}}"]}, "os.system"),
        ("model", {"_target_": "bmx.models.mlp.MLP", "x": "\\${oc.env:HOME}"}, "${oc.env:HOME}"),
        ("model", {"_target_": ["os.system"]}, "os.system"),
        ("optim", {"_target_": "torch.optim.SGD", "x": {"_target_": "torch.nn.Linear"}}, "torch.nn.Linear"),
        ("scheduler", {"_target_": "torch.optim.lr_scheduler.LambdaLR", "lr_lambda": {"_target_": "os.system"}}, "os"),
    ],
)
def test_fields_that_reach_further_are_refused(group, node, told, tmp_path):
    from omegaconf import OmegaConf

    with pytest.raises(UsageError) as error:
        judged(OmegaConf.create({"_": node})._, group, tmp_path)
    assert told in "\n".join(error.value.lines())


MINE = """
import os
import torch
from functools import partial
from numpy import load

Open = torch.load
Run = partial(os.system)


class Net(torch.nn.Module):
    @classmethod
    def build(cls):
        return cls()


def make():
    return Net()


Small = partial(Net)
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module of the user's own, imported by nobody yet."""
    name = f"own_{abs(hash(str(tmp_path)))}"
    place = tmp_path / "here"
    place.mkdir()
    (place / f"{name}.py").write_text(MINE)
    monkeypatch.chdir(place)
    yield name
    sys.modules.pop(name, None)


@pytest.mark.parametrize("what", ["Net", "make", "Small", "Net.build", "torch.nn.Linear"])
def test_the_users_own_modules_are_theirs_where_they_stand(mine, what, tmp_path):
    judged({"_target_": f"{mine}.{what}"}, "model", tmp_path / "run")


@pytest.mark.parametrize("what", ["load", "os.system", "Open", "Run", "partial", "torch.load", "torch.hub.load"])
def test_what_their_modules_happen_to_import_is_not(mine, what, tmp_path):
    with pytest.raises(UsageError, match="was not called"):
        judged({"_target_": f"{mine}.{what}"}, "model", tmp_path / "run")


def test_elsewhere_they_have_to_be_trusted(mine, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path.cwd()))
    monkeypatch.chdir(tmp_path)
    node, run = {"_target_": f"{mine}.Net"}, tmp_path / "run"
    with pytest.raises(UsageError, match=f"have not said that you trust {mine}") as error:
        judged(node, "model", run)
    assert f"trust={mine}" in error.value.fix and mine not in sys.modules
    with trusting(mine):
        judged(node, "model", run)
    with trusting([f"{mine}.make"]):
        judged({"_target_": f"{mine}.make"}, "model", run)
    with pytest.raises(UsageError), trusting(mine):  # a function of an installed module says what it returns
        judged({"_target_": f"{mine}.make"}, "model", run)
    with pytest.raises(UsageError):  # trust ends with the call
        judged(node, "model", run)


@pytest.mark.parametrize("trust", [None, "evil"])
@pytest.mark.parametrize("stand", [".", "checkpoints", "src"])
def test_a_module_in_the_run_itself_is_never_imported(tmp_path, monkeypatch, stand, trust):
    run = tmp_path / "run"
    for folder in ("checkpoints", "src", ".hydra"):
        (run / folder).mkdir(parents=True)
        (run / folder / "evil.py").write_text("raise SystemExit('imported')")
    (run / "evil.py").write_text("raise SystemExit('imported')")
    (run / "result.json").write_text("{}")
    (run / "config.yaml").write_text("a: 1")
    monkeypatch.chdir(run / stand)
    monkeypatch.syspath_prepend(str(run / stand))
    with pytest.raises(UsageError, match="in the run itself"), trusting(trust):
        judged({"_target_": "evil.Net"}, "model", run / "checkpoints" / "best.ckpt")
    assert "evil" not in sys.modules


def test_a_module_beside_a_lone_file_needs_trust(mine, monkeypatch):
    file = Path.cwd() / "model.bmxp"
    with pytest.raises(UsageError, match="have not said that you trust"):
        judged({"_target_": f"{mine}.Net"}, "model", file)
    assert mine not in sys.modules
    with trusting(mine):
        judged({"_target_": f"{mine}.Net"}, "model", file)


@pytest.mark.parametrize("name", ["os", "os.system", "builtins", "no_such_module_x", "a b", 3, "my-net", ""])
def test_what_cannot_be_trusted_is_refused(name):
    with pytest.raises(UsageError), trusting(name):
        pass


def test_the_users_own_words_are_theirs(tmp_path, monkeypatch):
    """What their bmx_conf names is not asked for again when a run of it is loaded."""
    monkeypatch.chdir(tmp_path)
    node = {"_target_": "sklearn.linear_model.Ridge"}
    with pytest.raises(UsageError):
        judged(node, "model", tmp_path / "run")
    (tmp_path / "bmx_conf" / "model").mkdir(parents=True)
    (tmp_path / "bmx_conf" / "model" / "ridge.yaml").write_text("_target_: sklearn.linear_model.Ridge\n")
    with pytest.raises(UsageError, match="not a class of torch"):  # but a model is still a model
        judged(node, "model", tmp_path / "run")
