"""What Hydra is spared changes nothing of what it composes: every root and word, changed files, broken files, modes."""

import os

import pytest
from hydra._internal import defaults_list
from hydra._internal.hydra import Hydra
from hydra.types import RunMode

from bmx.config import hydra_cache
from bmx.config.search_path import make_loader
from bmx.config.verbs import VERBS
from tests.toy_house import REPOSITORY

WORDS = sorted(
    f"{path.parent.relative_to(REPOSITORY / 'conf')}={path.stem}"
    for group in ("data", "model", "optim", "scheduler", "trainer", "logger")
    for path in (REPOSITORY / "conf" / group).glob("*.yaml")
)


@pytest.fixture
def source_class():
    """As Hydra has it now: looking for plugins makes its classes anew."""
    make_loader("train")
    from hydra._internal.core_plugins.file_config_source import FileConfigSource

    return FileConfigSource


def composed(verb, words):
    config = make_loader(verb).load_configuration(VERBS[verb].config, words, RunMode.RUN)
    return {key: config._get_node(key) for key in config if key != "hydra"}, config.hydra


@pytest.mark.slow
def test_every_root_and_word_is_composed_as_hydra_composes_it(source_class, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = [(verb, []) for verb in VERBS if VERBS[verb].config] + [("train", [word]) for word in WORDS[::8]]
    asked.append(("train", ["optim=adam", "data=iris", "model=mlp", "model.hidden=[8]", "lr=0.5"]))
    first = [composed(*one) for one in asked]
    second = [composed(*one) for one in asked]  # from what is known
    monkeypatch.setattr(hydra_cache, "install", lambda: None)
    for owner, name in ((source_class, "load_config"), (defaults_list, "_create_interpolation_map")):
        monkeypatch.setattr(owner, name, getattr(owner, name).__wrapped__)
    assert [composed(*one) for one in asked] == first == second


@pytest.fixture
def load(source_class, tmp_path):
    """Reads ``a.yaml``."""
    return source_class("main", f"file://{tmp_path}").load_config


def test_a_file_is_read_again_once_it_has_changed(load, tmp_path):
    file = tmp_path / "a.yaml"
    for number in range(5):  # at once, of one size: its time may be the same
        file.write_text(f"# @package _global_\ndefaults: [_self_]\nlr: {number}\n")
        found = load("a")
        assert found.config == {"defaults": ["_self_"], "lr": number} and found.header == {"package": "_global_"}
    os.utime(file, (10**9, 10**9))
    assert load("a").config.lr == 4
    file.write_text("lr: 7\n")
    os.utime(file, (10**9, 10**9))  # of the same time as before, but of another size
    assert load("a").config == {"lr": 7} and load("a").header == {"package": None}


def test_what_is_known_of_a_file_is_not_changed_by_who_was_given_it(load, source_class, tmp_path, monkeypatch):
    (tmp_path / "a.yaml").write_text("defaults: [b]\nnode: {list: [1, 2], on: on}\nrate: 1e-3\nday: 2020-01-01\n")
    monkeypatch.setattr(hydra_cache, "known", {})
    monkeypatch.setattr(hydra_cache, "SETTLED_NS", 0)
    given = [load("a").config for _ in range(2)]
    given[0].pop("defaults")
    given[0].node.list.append(3)
    assert len(hydra_cache.known) == 1 and given[1] == load("a").config
    slow = source_class.load_config.__wrapped__(load.__self__, "a")
    assert given[1] == slow.config and slow.config.day == "2020-01-01"


@pytest.mark.parametrize("text", ["a: [1", "a: 1\na: 2", "a:\n\tb: 1", "3", "{a: {b: 1, b: 2}}", "a: *b", "a: !!x 1"])
def test_a_broken_file_is_told_as_hydra_tells_it(load, source_class, tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    said = []
    for read in (source_class.load_config, source_class.load_config.__wrapped__):
        with pytest.raises(Exception) as caught:
            read(load.__self__, "a")
        said.append((type(caught.value), str(caught.value)))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("words", "mode"),
    [
        ([], None),
        (["model=cnn", "lr=0.1"], None),
        (["hydra.mode=MULTIRUN"], RunMode.MULTIRUN),
        (["experiment=many"], RunMode.MULTIRUN),
        (["experiment=one"], RunMode.RUN),
        (["experiment=one", "hydra.mode=MULTIRUN"], RunMode.MULTIRUN),
        (["model=none_such"], None),
        (["experiment=chosen"], RunMode.MULTIRUN),
    ],
)
def test_a_mode_that_a_word_or_a_file_sets_is_found(house, words, mode):
    (house.conf / "pick").mkdir()
    for name, text in (
        ("many", "# @package _global_\nhydra:\n  mode: MULTIRUN\n"),
        ("one", "# @package _global_\nhydra: {mode: RUN}\n"),
        ("chosen", "# @package _global_\ndefaults:\n  - /pick: net\n"),
        ("../pick/net", "# @package hydra\nmode: MULTIRUN\n"),
    ):
        (house.conf / "experiment" / f"{name}.yaml").write_text(text)
    hydra = Hydra(task_name="train", config_loader=make_loader("train"))
    assert hydra.get_mode("train", list(words)) == Hydra.get_mode.__wrapped__(hydra, "train", list(words)) == mode


def test_a_defaults_list_that_names_a_choice_is_followed(house):
    (house.conf / "pick").mkdir()
    (house.conf / "pick" / "cnn.yaml").write_text("# @package hydra\nmode: MULTIRUN\n")
    (house.conf / "root.yaml").write_text("defaults: [_self_, {model: net}, {pick: '${model}'}]\n")
    hydra = Hydra(task_name="train", config_loader=make_loader("train"))
    for words, mode in (["model=cnn"], RunMode.MULTIRUN), (["model=cnn", "+pick=cnn"], None):
        assert hydra.get_mode("root", words) == Hydra.get_mode.__wrapped__(hydra, "root", words) == mode
