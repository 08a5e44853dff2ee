"""Every command in the README runs, in its order, through the real program."""

import os
import re
import shlex
from pathlib import Path

import pytest

from bmx.cli.main import main
from tests.data.idx_files import write_set
from tests.data.test_cifar import batch, write

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
DOCS = "\n".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))
# What makes a training short without changing what it is; a word that stands in the command itself wins.
QUICK = ["epochs=1", "plots=false"]
SMALL = {
    "language_id": ["data.val_size=9000", "model.depth=1", "model.width=32"],
    "cifar10": ["batch_size=16"],
}
OF_VERB = {
    "compress": ["engines=[eager]", "seconds=0.05"],
    "sweep": ["data=digits"],
}


def shell_commands(text=README):
    """The lines of the ```sh blocks of a text, without comments."""
    blocks = [block for kind, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.S | re.M) if kind == "sh"]
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def table_commands():
    """The commands in the table of verbs."""
    return [match for match in re.findall(r"^\| `(bmx [^`]+)` \|", README, re.M) if "=" in match or "list" in match]


COMMANDS = [
    c for c in dict.fromkeys([*shell_commands(), *table_commands(), *shell_commands(DOCS)]) if c.startswith("bmx ")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A place with runs in it, and CIFAR-10 and MNIST in their own formats."""
    place = tmp_path_factory.mktemp("readme")
    for i in range(1, 6):
        write(place / "FOLDER" / "cifar-10-batches-py" / f"data_batch_{i}", batch(b"labels", 8, 10, i))
    write(place / "FOLDER" / "cifar-10-batches-py" / "test_batch", batch(b"labels", 6, 10, 9))
    write_set(place / "FOLDER" / "MNIST" / "raw", train=300)
    before = Path.cwd()
    os.chdir(place)
    assert main(["train", "data=digits", "model=linear", *QUICK]) == 0
    yield place
    os.chdir(before)


def test_there_are_commands_and_both_make_commands():
    assert len(COMMANDS) >= 9
    makefile = (Path(__file__).resolve().parents[1] / "Makefile").read_text()
    for line in shell_commands():
        if line.startswith("make "):
            assert re.search(rf"^{line.split()[1]}:", makefile, re.M), line


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_command(command, folder, capsys):
    words = shlex.split(command)[1:]
    trains = words[0] in ("train", "distill", "compress", "sweep")
    if trains and not any(w.startswith(("--", "resume")) for w in words):
        extra = next((SMALL[name] for name in SMALL if f"data={name}" in words), [])
        extra = [*extra, *OF_VERB.get(words[0], [])]
        extra += ["target.trials=2"] if any(w.startswith("target.") for w in words) else []
        words += [w for w in [*QUICK, *extra] if w.split("=")[0] not in {word.split("=")[0] for word in words}]
    if any(w.startswith("resume") for w in words):
        _stop_a_run(folder)
    assert main(words) == 0, capsys.readouterr().err
    assert "Traceback" not in capsys.readouterr().err


def _stop_a_run(folder):
    """Leaves an unfinished run behind, as a kill would."""
    import json

    assert main(["train", "data=digits", "model=linear", *QUICK]) == 0
    newest = max((folder / "outputs" / "train").glob("*/*"), key=lambda run: run.name)
    result = json.loads((newest / "result.json").read_text())
    (newest / "result.json").write_text(json.dumps(result | {"status": "interrupted"}))


def test_the_python_example_runs(folder):
    assert main(["train", "data=mnist_5k", "model=linear", *QUICK]) == 0
    from bmx.data.mnist_5k import mnist_5k

    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    names = {"images": mnist_5k().test.inputs[:4]}
    exec(code.replace('"data=digits"]', '"data=digits", "epochs=1", "plots=false"]'), names)
    assert names["logits"].shape == (4, 10)
    assert names["result"]["status"] == "done"


def test_the_message_shown_is_the_message_given(folder, capsys):
    (block,) = re.findall(r"```text\n\$ bmx (.*?)```", README, re.S)
    command, *expected = block.strip().splitlines()
    assert main(shlex.split(command)) == 2
    assert capsys.readouterr().err.strip().splitlines() == expected


def test_the_map_of_the_tree_names_every_room():
    root = Path(__file__).resolve().parents[1] / "bmx"
    rooms = {path.name for path in root.iterdir() if (path / "__init__.py").exists()}
    (tree,) = re.findall(r"## Map of the tree\n\n```text\n(.*?)```", README, re.S)
    named = set(re.findall(r"^  (\w+)/ ", tree, re.M))
    assert rooms == named
