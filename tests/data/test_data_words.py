import inspect
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "conf" / "data"
WORDS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
# What the engine takes out of the group before it calls the source.
OF_THE_ENGINE = {"_target_", "val_size", "in_memory", "workers"}


def test_the_words_are_there():
    assert {"mnist_5k", "digits", "mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100"} < set(WORDS)
    assert {"language_id", "points", "iris", "wine", "breast_cancer", "diabetes", "synthetic"} < set(WORDS)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_names_a_function_and_exactly_its_fields(word):
    config = yaml.safe_load((FOLDER / f"{word}.yaml").read_text())
    assert set(config) <= {"data", "epochs", "batch_size"}
    fields = config["data"]
    assert set(fields) >= OF_THE_ENGINE
    module, name = fields["_target_"].rsplit(".", 1)
    assert name == word
    arguments = inspect.signature(getattr(import_module(module), name)).parameters
    assert set(fields) - OF_THE_ENGINE == set(arguments) - {"on_disk"}
    for argument in arguments.values():
        if argument.name == "on_disk":  # decided by in_memory
            continue
        written = fields[argument.name]
        assert (tuple(written) if isinstance(written, list) else written) == argument.default


@pytest.mark.parametrize("word", WORDS)
def test_every_key_has_its_comment(word):
    lines = (FOLDER / f"{word}.yaml").read_text().splitlines()
    lines = [line for line in lines if not line.strip().startswith("#:")]  # declarations
    assert lines[0] == "# @package _global_"
    assert lines[1].startswith("# ")
    for above, line in pairwise(lines):
        if line.strip() and not line.strip().startswith("#"):
            assert above.strip().startswith("# "), line
