"""How the house is laid out, where import-linter does not look: names of modules in strings, circles, strangers."""

import ast
import itertools
import json
import os
import re
import shutil
import textwrap
import tomllib
from functools import partial
from pathlib import Path

import pytest

from tests import program

ROOT = Path(__file__).resolve().parents[1]
MODULES = {
    ".".join(path.with_suffix("").relative_to(ROOT).parts).removesuffix(".__init__"): path
    for path in (ROOT / "bmx").rglob("*.py")
}


def layers():
    """The rooms from the highest to the lowest, as import-linter is told."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (found,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[name.strip() for name in layer.split("|")] for layer in found]


def strings(tree):
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


@pytest.mark.parametrize("height, room", [(i, room) for i, layer in enumerate(layers()) for room in layer])
def test_no_string_names_a_module_of_a_higher_room(height, room):
    above = {name for layer in layers()[:height] for name in layer}
    wrong = [
        f"{module}: {text[:60]}"
        for module, path in MODULES.items()
        if f"{module}.".startswith(f"{room}.")
        for text in strings(ast.parse(path.read_text()))
        if (named := re.match(r"(bmx\.[a-z_]+)[.:]", text)) and named[1] in above
    ]
    assert not wrong


def imported(module):
    """The modules of bmx that a module imports, wherever in it, but for types alone."""
    tree = ast.parse(MODULES[module].read_text())
    types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in types:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_no_module_imports_itself_by_way_of_others():
    left = {module: {name for name in imported(module) if name in MODULES} - {module} for module in MODULES}
    while free := [module for module, names in left.items() if not names & left.keys()]:
        for module in free:
            del left[module]
    while ends := [module for module in left if not any(module in names for names in left.values())]:
        for module in ends:
            del left[module]
    assert not left


def test_a_verb_of_another_package(tmp_path):
    (tmp_path / "bmx_verbs").mkdir()
    (tmp_path / "bmx_conf").mkdir()
    (tmp_path / "bmx_verbs" / "count.py").write_text(
        textwrap.dedent(
            """
            from bmx.config.verbs import Verb

            VERB = Verb(place=200, help="counts", target="counting:count", config="count", check="counting:check")
            """
        )
    )
    (tmp_path / "counting.py").write_text(
        textwrap.dedent(
            """
            import json
            from bmx.errors import UsageError

            def check(cfg):
                if cfg.upto > 9:
                    raise UsageError("too far", "upto", "write upto=9")

            def count(cfg, run_dir):
                (run_dir / "counted.json").write_text(json.dumps(list(range(cfg.upto))))
                return {"status": "done"}
            """
        )
    )
    root = """
        # bmx count: counts.
        defaults: [_self_, {hydra: bmx}]

        # How far.
        #: int >= 1, such as 3
        upto: 3
        # Names the run.
        #: name or null
        name: null
        # Folder of runs.
        #: folder, such as outputs
        outputs: outputs
        """
    (tmp_path / "bmx_conf" / "count.yaml").write_text(textwrap.dedent(root))
    bmx = partial(program.bmx, tmp_path, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))

    assert "counts" in bmx("--help").stdout
    done = bmx("count", "upto=2")
    assert done.returncode == 0, done.stderr
    (counted,) = (tmp_path / "outputs" / "count").rglob("counted.json")
    assert counted.read_text() == "[0, 1]"
    assert bmx("count", "upto=10").returncode == 2
    wrong = bmx("count", "upt=1")
    assert wrong.returncode == 2 and "upto" in wrong.stderr


def contributed():
    """The files that CONTRIBUTING.md shows, by their paths."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", text, re.S)
    return dict(blocks)


def test_a_model_a_data_set_a_method_a_metric_a_format_and_a_verb_are_a_file_and_a_word(tmp_path):
    files = contributed()
    assert len(files) == 13 and not [name for name in files if (ROOT / name).exists()]
    for folder in ("bmx", "conf", "hydra_plugins"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    bmx = partial(program.done, tmp_path, PYTHONPATH=str(tmp_path))

    bmx("train", "model=wide", "data=rings", "epochs=30", "lr=0.1", "plots=false", "hydra.run.dir=run")
    assert json.loads((tmp_path / "run" / "result.json").read_text())["metrics"]["test/accuracy"] > 0.85
    (tmp_path / "bmx" / "data" / "waves.py").write_text(
        "import torch\nfrom bmx.data.arrays import Arrays, Source\nfrom bmx.data.spec import DataSpec\n\n\n"
        "def waves() -> Source:\n"
        "    x, y = torch.randn(90, 2, 8), torch.arange(90) % 2\n"
        "    return Source(Arrays(x[:60], y[:60]), Arrays(x[60:], y[60:]), DataSpec('waves', 'signal', (2, 8), 2))\n"
    )
    told = bmx("train", "model=wide", "data=rings", "data._target_=bmx.data.waves.waves", "epochs=1", "hydra.run.dir=s")
    assert "54 training" in told
    said = bmx("compress", "run=run", "compression=binary", "epochs=0", "engines=[]", "plots=false")
    assert "one bit" in said
    bmx("export", "run=run", "format=npz", "file=rings.npz")
    bmx("evaluate", "run=rings.npz", "plots=false", "hydra.run.dir=again")
    metrics = [json.loads((tmp_path / name / "result.json").read_text())["metrics"] for name in ("run", "again")]
    assert metrics[0]["test/accuracy"] == metrics[1]["test/accuracy"]
    bmx("count", "upto=4")
    (counted,) = (tmp_path / "outputs" / "count").rglob("result.json")
    found = json.loads(counted.read_text())
    assert found["counted"] == [0, 1, 2, 3] and found["status"] == "done"
    assert "count" in bmx("--help") and "width" in bmx("train", "model=wide", "--help")


def test_the_picture_of_the_house_is_that_of_the_contract():
    (picture,) = re.findall(
        r"## How the house is laid out\n\n```text\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S
    )
    rows = [set(re.findall(r"(\w+)/", line)) for line in picture.splitlines()]
    at = {room: height for height, row in enumerate(rows) for room in row}
    for above, below in itertools.pairwise(layers()):
        for one, other in itertools.product(above, below):
            one, other = one.removeprefix("bmx."), other.removeprefix("bmx.")
            assert one in at or one in ("errors", "extras"), one
            if one in at and other in at:
                assert at[one] < at[other], (one, other)


def private_names(test):
    """What a test module takes of bmx that bmx keeps for itself, with its line."""
    tree, rooms = ast.parse(test.read_text()), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bmx"):
            rooms |= {alias.asname or alias.name for alias in node.names}
            yield from ((node.lineno, alias.name) for alias in node.names if is_private(alias.name))
        elif isinstance(node, ast.Import):
            rooms |= {alias.asname or "bmx" for alias in node.names if alias.name.startswith("bmx")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            base = node.value
            while isinstance(base, ast.Attribute):
                base = base.value
            if isinstance(base, ast.Name) and base.id in rooms:
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("attr"):
            words = [arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            named = bool(node.args) and isinstance(node.args[0], ast.Name) and node.args[0].id in rooms
            private = [word for word in words if word.startswith("bmx.") or named]
            yield from ((node.lineno, word) for word in private if is_private(word.rpartition(".")[2]))


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def test_no_test_leans_on_a_private_name():
    tests = sorted((ROOT / "tests").rglob("*.py"))
    wrong = [f"{test.relative_to(ROOT)}:{line} {name}" for test in tests for line, name in private_names(test)]
    assert not wrong


def test_a_private_name_in_a_test_is_found(tmp_path):
    test = tmp_path / "test_a.py"
    test.write_text(
        "from bmx.cli import help\nfrom bmx.cli.help import _table\n"
        "help._table\nmonkeypatch.setattr(help, '_table', 1)\nmonkeypatch.setattr('bmx.cli.help._table', 1)\n"
        "help.__doc__\nother._table\n"
    )
    assert sorted(line for line, _ in private_names(test)) == [2, 3, 4, 5]


# Two of these are named by `_target_`, in configurations that runs keep.
SHARED_CLASS_NAMES = {"Attention"}


def test_one_name_is_one_thing():
    found = {}
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not is_private(node.name):
                found.setdefault(node.name, []).append(module)
    assert {name for name, modules in found.items() if len(modules) > 1} == SHARED_CLASS_NAMES
