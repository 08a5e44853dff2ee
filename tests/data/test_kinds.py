"""A kind of data from another package: signals of several channels, through the command line and in other processes."""

import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest

from bmx.data.kinds.found import kind_named, names
from bmx.data.spec import DataSpec
from bmx.runs import result as results
from tests import program

KIND = """
from bmx.data.kinds.kind import Kind


class Signal(Kind):
    axes, samples, values = ("channel", "time"), "signals", "voltages"

    def channels(self, spec):
        return spec.input_shape[0]

    def sizes(self, spec):
        return {"steps": spec.input_shape[1]}

    def random_inputs(self, spec, samples, dtype, generator):
        return super().random_inputs(spec, samples, dtype, generator).cumsum(-1)


KIND = Signal()
"""

MODULE = """
import torch
from torch import nn
from bmx.data.arrays import Arrays, Source
from bmx.data.spec import DataSpec


class Net(nn.Sequential):
    def __init__(self, in_channels, steps, num_outputs):
        features = nn.Sequential(nn.Conv1d(in_channels, 4, 5, padding=2), nn.ReLU(), nn.Flatten())
        super().__init__(features, nn.Linear(4 * steps, num_outputs))


def waves() -> Source:
    noise = torch.randn(240, 2, 16, generator=torch.Generator().manual_seed(0))
    slow = torch.arange(240) % 2
    rate = torch.where(slow == 1, 0.4, 1.6).view(-1, 1, 1)
    waves = 5 + torch.sin(torch.arange(16) * rate) + 0.1 * noise
    spec = DataSpec("waves", "signal", (2, 16), 2, ("fast", "slow"))
    return Source(Arrays(waves[:200], slow[:200]), Arrays(waves[200:], slow[200:]), spec)
"""

DATA = """
# @package _global_
# Waves of two speeds.
batch_size: 20
data:
  # The function.
  _target_: waving.waves
  # Held out.
  #: int >= 0
  val_size: 40
"""


@pytest.fixture
def folder(tmp_path):
    for name, text in {
        "bmx_kinds/signal.py": KIND,
        "waving.py": MODULE,
        "bmx_conf/data/waves.yaml": DATA,
        "bmx_conf/model/waver.yaml": "# One convolution.\n# The class.\n_target_: waving.Net\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text).lstrip())
    return tmp_path


@pytest.mark.slow
def test_a_kind_of_another_package_is_trained_evaluated_benched_and_exported(folder, tmp_path_factory):
    done = partial(program.done, folder)

    done("train", "data=waves", "model=waver", "epochs=5", "lr=0.1", "hydra.run.dir=run")
    metrics = results.read(folder / "run")["metrics"]
    assert metrics["test/accuracy"] > 0.9 and (folder / "run" / "plots" / "mistakes.png").is_file()
    done("evaluate", "run=run", "hydra.run.dir=again")
    assert results.read(folder / "again")["metrics"]["test/accuracy"] == metrics["test/accuracy"]
    done("bench", "run=run", "engines=[eager]", "batch_sizes=[1]", "seconds=0.05", "hydra.run.dir=bench")
    assert results.read(folder / "bench")["bench"]["subjects"][0]["input_shape"] == [2, 16]
    done("sweep", "data=waves", "model=waver", "epochs=1", "lr=0.1,0.01", "objective=[latency,accuracy]", "plots=false")
    done("export", "run=run", "format=pt2", "preprocessing=inside", "hydra.run.dir=export")
    (file,) = (folder / "export").rglob("*.pt2")
    done("evaluate", f"run={file}", "hydra.run.dir=exported")
    refused = program.bmx(folder, "train", "data=waves", "model=waver", "augmentation=jitter")
    assert refused.returncode == 2 and "for images, and these data are signal" in refused.stderr

    # Where nothing brings the kind, a model of it is refused in one line that says what would.
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    lost = program.bmx(elsewhere, "evaluate", f"run={folder / 'run'}")
    assert lost.returncode == 2 and "known are image, table, tokens" in lost.stderr
    assert "install what brings bmx_kinds/signal.py" in lost.stderr and not list(elsewhere.iterdir())


def test_a_kind_in_a_run_or_beside_a_file_is_a_strangers(tmp_path, monkeypatch):
    from bmx.errors import UsageError
    from bmx.targets.standing import trusting

    (tmp_path / "bmx_kinds").mkdir()
    (tmp_path / "bmx_kinds" / "strange.py").write_text(KIND + "open('called', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    fields = {"name": "s", "kind": "strange", "input_shape": [2, 16], "num_classes": 2}
    with pytest.raises(UsageError, match="lies beside the file") as refused:
        DataSpec.of_file(fields, tmp_path / "model.bmxp")
    assert "trust=bmx_kinds.strange" in refused.value.fix and not Path("called").exists()
    (tmp_path / "result.json").write_text("{}")
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(UsageError, match="lies in a run"):
        DataSpec.of_file(fields, tmp_path / "elsewhere" / "model.bmxp")
    with pytest.raises(ValueError, match=r"must be one of image, table, tokens.*, got 'never'"):
        DataSpec("s", "never", (2, 16), 2)
    assert not Path("called").exists()
    (tmp_path / "result.json").unlink()
    with trusting("bmx_kinds"):
        spec = DataSpec.of_file(fields, tmp_path / "model.bmxp")
    assert Path("called").exists() and spec.form.samples == "signals" and spec.to_dict()["kind"] == "strange"
    assert "strange" in names() and kind_named("no such") is None
    sys.modules.pop("bmx_kinds.strange")
