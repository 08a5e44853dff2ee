"""The user's own code is known by hashes of its files, with what it imports of the same kind."""

import sys
import textwrap

import pytest

from bmx.runs.source_code import installed, own_code, targets
from bmx.sweep.config_hash import job_key

FILES = {
    "own_net_a.py": (
        "import torch\nimport own_pack.sub.deep\nfrom own_pack import other\nfrom own_space.leaf import f\n"
    ),
    "own_pack/__init__.py": "from .sub import deep\n",
    "own_pack/sub/__init__.py": "",
    "own_pack/sub/deep.py": "import os\n\n\ndef late():\n    import own_late\n",
    "own_pack/other.py": "from . import third\nfrom ..nowhere import x\n",
    "own_pack/third.py": "",
    "own_pack/unused.py": "",
    "own_space/leaf.py": "def f(): pass\n",
    "own_late.py": "",
}
CONFIG = {"model": {"_target_": "own_net_a.Net"}, "trainer": {"callbacks": [{"_target_": "own_pack.sub.deep.Call"}]}}


@pytest.fixture
def own(tmp_path, monkeypatch):
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    return tmp_path


def test_modules_are_followed_to_what_they_import_and_never_imported(own):
    before = set(sys.modules)
    assert set(own_code(CONFIG)) == {
        *("own_net_a", "own_pack", "own_pack.other", "own_pack.third"),
        *("own_pack.sub", "own_pack.sub.deep", "own_space.leaf", "own_late"),
    }
    assert not any(name.startswith("own_") for name in set(sys.modules) - before)


def test_what_is_installed_is_known_by_its_version(own):
    config = {"a": {"_target_": "torch.optim.SGD"}, "b": {"_target_": "sklearn.datasets.load_iris"}}
    config |= {"c": {"_target_": "numpy.ones"}, "d": {"_target_": "nowhere.at.all"}, "e": {"_target_": "bmx.x.Y"}}
    assert own_code(config) == {}
    assert set(installed(config)) == {"numpy"}
    assert targets({"x": [config, ("y", config)]}) == {config[key]["_target_"] for key in config}


@pytest.mark.parametrize(
    ("file", "old", "new", "kinds"),
    [
        ("own_net_a.py", "import torch\n", "# why\nimport torch\n", {"text"}),
        ("own_net_a.py", "import torch\n", "import   torch\n\n\n", {"text"}),
        ("own_space/leaf.py", "pass", "return 1", {"text", "code"}),
        ("own_late.py", "", "x = 1\n", {"text", "code"}),
        ("own_late.py", "", "this is no Python\n", {"text", "code"}),
        ("own_pack/unused.py", "", "x = 1\n", set()),
    ],
)
def test_a_change_shows_in_the_file_that_was_changed(own, file, old, new, kinds):
    before, key = own_code(CONFIG), job_key("train", _cfg())
    path = own / file
    path.write_text(path.read_text().replace(old, new, 1) if old else new)
    after = own_code(CONFIG)
    name = file.removesuffix(".py").replace("/", ".")
    assert {k for k in ("text", "code") if name in before and before[name][k] != after[name][k]} == kinds
    others = before.keys() - {name}
    assert all(before[other] == after[other] for other in others)
    # With other code it is another job of a sweep, which is not taken for done; comments make no other.
    assert (job_key("train", _cfg()) != key) == ("code" in kinds)


def _cfg():
    from omegaconf import OmegaConf

    return OmegaConf.create(CONFIG)
