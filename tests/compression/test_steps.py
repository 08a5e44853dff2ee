"""A method of another package that brings its own kind of step: compressed, and built again in other processes."""

from functools import partial

import pytest

from bmx.runs import result as results
from tests import program

STEP = '''
import copy
from torch import nn
from bmx.compression.method import LayerChange, Outcome


class Slow(nn.Sequential):
    """A layer, and a second one behind it that at first changes nothing."""


class Shrink:
    def __call__(self, net, context):
        made, name = copy.deepcopy(net), [n for n, m in net.named_modules() if isinstance(m, nn.Linear)][-1]
        size = net.get_submodule(name).weight.numel()
        made = rebuild(made, {"kind": "shrink", "layer": name})
        nn.init.eye_(made.get_submodule(name)[1].weight)
        changed = LayerChange(name, "Linear", size, size + made.get_submodule(name)[1].weight.numel(), "in two")
        return Outcome(made, [{"kind": "shrink", "layer": name}], [changed])


def rebuild(net, step):
    owner, _, name = step["layer"].rpartition(".")
    old = net.get_submodule(step["layer"])
    second = nn.Linear(old.out_features, old.out_features, bias=False, device=old.weight.device)
    setattr(net.get_submodule(owner) if owner else net, name, Slow(old, second))
    return net
'''


@pytest.mark.slow
def test_a_step_of_another_package_is_repeated_wherever_its_run_is_read(tmp_path):
    (tmp_path / "bmx_steps").mkdir()
    (tmp_path / "bmx_steps" / "shrink.py").write_text(STEP)
    (tmp_path / "bmx_conf" / "compression").mkdir(parents=True)
    word = "# In two.\n# The class.\n_target_: bmx_steps.shrink.Shrink\n"
    (tmp_path / "bmx_conf" / "compression" / "shrink.yaml").write_text(word)

    done = partial(program.done, tmp_path)

    done("train", "data=digits", "model=mlp", "model.hidden=[8]", "epochs=1", "plots=false", "hydra.run.dir=run")
    small = ["compression=shrink", "engines=[]", "plots=false"]
    assert "in two" in done("compress", "run=run", *small, "epochs=1", "lr=0.01", "hydra.run.dir=small")
    found = results.read(tmp_path / "small")["metrics"]
    done("evaluate", "run=small", "plots=false", "hydra.run.dir=again")
    assert results.read(tmp_path / "again")["metrics"]["test/accuracy"] == found["test/accuracy"]
    done("export", "run=small", "format=safetensors", "hydra.run.dir=export")
    (file,) = (tmp_path / "export").rglob("*.safetensors")
    done("evaluate", f"run={file}", "plots=false", "hydra.run.dir=exported")
    done("compress", "resume=small", "epochs=2")

    (tmp_path / "bmx_steps" / "shrink.py").rename(tmp_path / "shrink.py")
    lost = program.bmx(tmp_path, "evaluate", "run=small", "plots=false")
    assert lost.returncode == 2 and "unknown compression 'shrink'" in lost.stderr
    assert "install what brings bmx_steps/shrink.py" in lost.stderr
