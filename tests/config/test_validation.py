"""Every key of conf/ is declared, and its declaration holds: for every value, from every place it can come from."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf, open_dict

from bmx.cli.main import main
from bmx.config.compose import compose
from bmx.config.folders import conf_dir
from bmx.config.raw import compose_raw
from bmx.config.schema import declaration_of, of_hydra, schema, target_of
from bmx.config.validation import conform
from bmx.config.value_kinds import NOTHING
from bmx.config.yaml_comments import load
from bmx.errors import UsageError
from tests.config.declared_values import takes

CONF = conf_dir()
VERBS = ("train", "compress", "distill", "sweep", "evaluate", "bench", "export")
# Their keys are declared where they are not only set: by roots and groups, or by Python's logging and Hydra.
SET_ELSEWHERE = ("experiment", "space")
NOT_OURS = ("hydra/hydra_logging", "hydra/job_logging", "hydra")


def folder_of(path):
    return str(path.parent.relative_to(CONF))


def leaves(path):
    entries = load(path).entries.items()
    return {key: e for key, e in entries if not e.is_map and not key.rpartition(".")[2].startswith("_")}


FILES = [path for path in sorted(CONF.rglob("*.yaml")) if folder_of(path) not in NOT_OURS]
OWN = [path for path in FILES if not folder_of(path).startswith(SET_ELSEWHERE)]


def test_every_key_of_every_file_is_declared_beside_its_comment():
    missing = [f"{path.relative_to(CONF)}: {key}" for path in OWN for key, e in leaves(path).items() if not e.declares]
    assert not missing
    assert sum(len(leaves(path)) for path in OWN) > 300


def test_every_key_that_an_experiment_or_a_space_sets_is_declared():
    for path in set(FILES) - set(OWN):
        verb, word = "train", f"{path.parent.name}={path.stem}"
        if path.parent.name == "experiment":  # its file opens with the command that runs it
            verb = re.search(rf"#   bmx (\w+) (?:-m )?{word}\b", path.read_text())[1]
        config = compose_raw(verb, [word]).config
        for key in leaves(path):
            assert schema(verb).declared(key, config) is not None, f"{path}: {key}"


def test_what_builds_the_same_declares_the_same():
    """So that a file of a user's, which builds it too, has one declaration for each key."""
    seen = {}
    for path in OWN:
        for key, entry in leaves(path).items():
            for cut in range(len(key.split("."))):
                above = ".".join(key.split(".")[:cut])
                target = load(path).entries.get(f"{above}._target_" if above else "_target_")
                if target is not None:
                    rest = key[len(above) + 1 :] if above else key
                    first = seen.setdefault((target.value, rest), entry)
                    same = first.declares.partition(", such")[0] == entry.declares.partition(", such")[0]
                    assert same, f"{first.file} and {path}: {key}"


def test_a_declaration_is_no_part_of_the_comment():
    for path in OWN:
        for key, entry in load(path).entries.items():
            assert "#" not in entry.comment and not entry.comment.startswith(":"), f"{path}: {key}"


def test_every_value_that_conf_sets_fits():
    for path in OWN:
        for key, entry in leaves(path).items():
            if entry.value == "???" or "${" in str(entry.value):
                continue
            assert declaration_of(entry).convert(entry.value) is not NOTHING, f"{path}: {key}"
            assert takes(entry.declares, entry.value) or isinstance(entry.value, str), f"{path}: {key}"


def test_the_example_of_every_declaration_fits():
    for path in OWN:
        for key, entry in leaves(path).items():
            declared = declaration_of(entry)
            example = OmegaConf.to_container(OmegaConf.create(f"x: {declared.example}"))["x"]
            assert declared.convert(example, declared.example) is not NOTHING, f"{path}: {key}"


# --- a value that fits composes, any other is refused ---

WORDS = {
    "train": ["optim", "scheduler", "regularization", "data", "model", "augmentation", "compression", "logger"],
    "compress": ["compression", "distillation"],
    "distill": ["distillation"],
}
GIVEN = {"distill": ["teacher=mlp"], "bench": ["model=mlp"]}


def bases():
    """Every verb under every word of its groups, one group at a time."""
    for verb in VERBS:
        given = GIVEN.get(verb, [])
        yield verb, given
        for group in WORDS.get(verb, []):
            for path in sorted((CONF / group).glob("*.yaml")):
                if (verb, path.stem) != ("train", "pipeline"):  # which begins with a trained run
                    yield verb, [*given, f"{group}={path.stem}"]


def declared_keys():
    """Each declared key with the words that bring it along, once for each thing that is built."""
    found = {}
    for verb, words in bases():
        known, config = schema(verb), compose(verb, words)
        for key in known_leaves(config):
            entry = known.entry(key, config)
            if entry is not None and entry.declares:
                of = (verb if key in known.root else "", key, target_of(config, key.rpartition(".")[0]))
                found.setdefault(of, (verb, words, key, entry))
    return list(found.values())


def known_leaves(config, prefix=""):
    for key in config:
        node = config._get_node(key)
        if OmegaConf.is_dict(node) and not node._is_none() and f"{prefix}{key}" != "teacher_fields":
            yield from known_leaves(node, f"{prefix}{key}.")
        elif not str(key).startswith("_"):
            yield f"{prefix}{key}"


@pytest.fixture(scope="module")
def keys():
    found = declared_keys()
    assert len(found) > 200
    return found


PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 70),
    st.sampled_from([2**32 - 1, 2**32, 10**12, -(10**12)]),
    st.floats(-3, 3),
    st.floats(),
    st.sampled_from(
        ["", "auto", "full", "x y", "30s", "10min", "off", "cuda:1", "nan", "max", "test", "relu", "offline"]
    ),
)
VALUES = st.one_of(
    PLAIN,
    st.lists(PLAIN, max_size=3),
    st.just({"a": 1}),
    st.just({"_target_": "package.Name"}),
)


@settings(max_examples=200)
@given(number=st.integers(0, 10**6), value=VALUES)
def test_a_value_is_taken_if_and_only_if_its_declaration_says_so(keys, number, value):
    verb, words, key, entry = keys[number % len(keys)]
    config = _composed(verb, tuple(words))
    with open_dict(config):
        OmegaConf.update(config, key, value, merge=False)
    if takes(entry.declares, value):
        conform(config, schema(verb))
        once = OmegaConf.to_container(config)
        conform(config, schema(verb))
        assert OmegaConf.to_container(config) == once  # checked again, nothing changes
    else:
        with pytest.raises(UsageError) as caught:
            conform(config, schema(verb))
        assert caught.value.what.startswith(key) and len(caught.value.lines()) == 3


_kept = {}


def _composed(verb, words):
    import copy

    if (verb, words) not in _kept:
        _kept[(verb, words)] = compose(verb, list(words))
    return copy.deepcopy(_kept[(verb, words)])


def typed(value):
    """A value as it is typed on the command line."""
    if isinstance(value, list):
        return f"[{','.join(map(typed, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{typed(one)}" for key, one in value.items()) + "}"
    if isinstance(value, str):
        return f"'{value}'"
    return "null" if value is None else str(value).lower()


LISTED = ("teacher", "teacher_words", "teacher_seeds", "engines", "batch_sizes", "run")


@settings(max_examples=12)
@given(number=st.integers(0, 10**6), value=VALUES)
def test_on_the_command_line_too_with_nothing_written(keys, number, value, tmp_path_factory):
    verb, words, key, entry = keys[number % len(keys)]
    if key == "student" or (key in LISTED and not isinstance(value, str)):
        return  # a student may be a model word, which has to be there; lists of the others are written out before
    place = tmp_path_factory.mktemp("stood")
    before = Path.cwd()
    os.chdir(place)
    try:
        if takes(entry.declares, value):
            try:
                compose(verb, [*words, f"{key}={typed(value)}"])
            except UsageError as error:  # the value fits, and has no effect with these words, or names no run
                assert not error.what.startswith(f"{key} must be"), error
        else:
            assert main([verb, *words, f"{key}={typed(value)}"]) == 2
    finally:
        os.chdir(before)
    assert not list(place.iterdir())


def test_words_about_sweeps_are_declared_too():
    for part in ("sweeper", "launcher"):
        known = of_hydra(part, [CONF])
        for target, fields in known.by_target.items():
            assert all(e.declares for key, e in fields.items() if not key.startswith("_")), target
