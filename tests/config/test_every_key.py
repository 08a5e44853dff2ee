"""Every declared key of every verb is given odd values: it takes them, or says in bmx's own words what it takes."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import NamedTuple

import pytest

import bmx
from bmx.config.schema import schema
from bmx.config.verbs import VERBS
from bmx.config.yaml_comments import load
from bmx.errors import UsageError
from tests.config.declared_values import takes

# As it is typed, and what that is.
ODD = {
    "null": None,
    "[]": [],
    "{a:1}": {"a": 1},
    "nan": math.nan,
    "-1": -1,
    "1e400": math.inf,
    "true": True,
    "word": "word",
    str(Path(__file__)): str(Path(__file__)),
    "[[1],[2]]": [[1], [2]],
    "[null,1]": [None, 1],
    "[{a:1}]": [{"a": 1}],
    "10000000000000000000000": 10**22,
}
NEEDS = {"distill": ["teacher=mlp"], "compress": ["compression=prune"], "bench": ["model=lenet5"]}
VERBS_WITH_KEYS = [name for name, verb in VERBS.items() if verb.config]

# What Hydra and OmegaConf say, and what bmx says where it can say no more than they.
FOREIGN = re.compile(
    r"DictConfig|ListConfig|in struct|OmegaConf|Hydra|Traceback|mismatched|\bFull key\b|full_key|object_type"
    r"|give it a value that fits|--debug"
)


class Key(NamedTuple):
    """A key, what it is declared to be, and the words with which it is there."""

    name: str
    declares: str
    words: tuple[str, ...]


def keys(verb: str) -> list[Key]:
    """The keys of the root file, then those of every word of its groups; what several words have alike comes once."""
    known = schema(VERBS[verb].config)
    needed = tuple(NEEDS.get(verb, ()))
    found = {(key, entry.declares): Key(key, entry.declares, needed) for key, entry in known.root.items()}
    for group, paths in known.files.items():
        others = tuple(word for word in needed if not word.startswith(f"{group}="))
        for path in paths:
            file = load(path)
            for name, entry in file.entries.items():
                key = name if file.package == "_global_" else f"{group}.{name}"
                here = Key(key, entry.declares, (*others, f"{group}={path.stem}"))
                found.setdefault((key, entry.declares), here)
    return [key for key in found.values() if key.declares]


def judge(verb: str, key: Key, typed: str) -> str | None:
    """What is wrong with how a verb takes a value, or refuses it; None if nothing is."""
    others = [word for word in key.words if not word.startswith(f"{key.name}=")]
    case = f"bmx {verb} {' '.join(others)} {key.name}={typed}"
    try:
        bmx.compose(verb, [*others, f"{key.name}={typed}"])
    except UsageError as error:
        said = "\n".join(error.lines())
        told = error.what and error.where and error.fix and not FOREIGN.search(said.replace(typed, ""))
        return None if told else f"{case}: {said}"
    except Exception as error:
        return f"{case}: {type(error).__name__}: {error}"
    return None if takes(key.declares, ODD[typed]) else f"{case} is taken, and is declared {key.declares}"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BMX_CONF", raising=False)


def test_some_keys_with_some_values():
    cases = [(verb, key, typed) for verb in VERBS_WITH_KEYS for key in keys(verb) for typed in ODD]
    assert len(cases) > 2000
    assert not [wrong for case in cases[:: len(cases) // 8] if (wrong := judge(*case))]


@pytest.mark.parametrize(
    ("verb", "name", "typed"),
    [
        ("distill", "teacher_words", "[null,1]"),
        ("distill", "teacher_words", "{a:1}"),
        ("distill", "teacher_fields", "{a:1}"),
        ("train", "trainer.callbacks", "{a:1}"),
        ("train", "data.leave_out", "{a:1}"),
    ],
)
def test_maps_and_lists_that_hydra_cannot_put_in_place(verb, name, typed):
    key = next(key for key in keys(verb) if key.name == name)
    assert judge(verb, key, typed) is None


@pytest.mark.parametrize(("verb", "group"), [("train", "model"), ("train", "optim"), ("distill", "student")])
def test_a_map_where_a_word_stands(verb, group):
    with pytest.raises(UsageError) as caught:
        bmx.compose(verb, [*NEEDS.get(verb, []), f"{group}={{a:1}}"])
    assert caught.value.what == f"no key '{group}.a'"
    assert not FOREIGN.search("\n".join(caught.value.lines()))
    word = caught.value.fix.removeprefix("choose a word, ").partition(";")[0]
    assert word.startswith(f"{group}=") and bmx.compose(verb, [*NEEDS.get(verb, []), word])


def test_a_map_where_a_list_of_maps_stands_is_told_its_brackets():
    with pytest.raises(UsageError, match=r"trainer\.callbacks must be a list") as caught:
        bmx.compose("train", ["trainer.callbacks={_target_: my.Callback}"])
    word = caught.value.fix.removeprefix("write ")
    assert bmx.compose("train", [word]).trainer.callbacks == [{"_target_": "my.Callback"}]


def test_fields_of_a_teacher_are_taken_as_a_map_too():
    assert bmx.compose("distill", ["teacher=mlp", "teacher_fields={hidden: [8]}"]).teacher_fields == {"hidden": [8]}


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS_WITH_KEYS)
def test_every_key_with_every_value(verb):
    """What verbs have alike is looked at with the first of them."""
    earlier = VERBS_WITH_KEYS[: VERBS_WITH_KEYS.index(verb)]
    known = {(key.name, key.declares) for one in earlier for key in keys(one)}
    own = [key for key in keys(verb) if (key.name, key.declares) not in known]
    assert not [wrong for key in own for typed in ODD if (wrong := judge(verb, key, typed))]
