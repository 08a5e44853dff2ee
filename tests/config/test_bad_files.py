"""Mistakes in the user's own files of configuration: the file and the line are named."""

import os

import pytest

from tests.toy_house import tree, write

BAD = [
    ("model/mine.yaml", "width: [1,\n", "model=mine", "not valid YAML", "model/mine.yaml, line 2"),
    ("model/mine.yaml", "a: 1\n\tb: 2\n", "model=mine", "not valid YAML", "model/mine.yaml, line 2"),
    ("model/mine.yaml", "a: 1\na: 2\n", "model=mine", "duplicate key a", "model/mine.yaml, line 2"),
    ("model/mine.yaml", "# M.\nwidth: ${widht}\n", "model=mine", "model.width refers to 'widht'", "mine.yaml, line 2"),
    ("model/mine.yaml", "# M.\nwidth: ???\n", "model=mine", "model.width has no value", "mine.yaml, line 2"),
    ("model/mine.yaml", "w: ${oc.env:BMX_NO_SUCH}\n", "model=mine", "BMX_NO_SUCH", "mine.yaml, line 1"),
    ("model/mine.yaml", "w: ${no_such:1}\n", "model=mine", "no_such", "mine.yaml, line 1"),
    ("model/mine.yaml", "defaults: x\nw: 1\n", "model=mine", "defaults must be a list", "model/mine.yaml"),
    ("model/mine.yaml", "w: ${a\n", "model=mine", "", ""),
    (
        "experiment/mine.yaml",
        "# @package _global_\ndefaults:\n  - override /model: cnm\n",
        "experiment=mine",
        "no word 'cnm' in the group 'model'",
        "experiment/mine.yaml, line 3",
    ),
    (
        "experiment/mine.yaml",
        "# @package _global_\ndefaults:\n  - override /modle: cnn\n",
        "experiment=mine",
        "Could not override 'modle'",
        "experiment/mine.yaml",
    ),
]


@pytest.mark.parametrize(("name", "text", "word", "what", "where"), BAD, ids=[f"{b[0]}: {b[1]!r}" for b in BAD])
def test_a_bad_file_is_named(house, name, text, word, what, where):
    write(house.work / "bmx_conf", {name: text})
    before = tree(house.work)
    called = house("train", word)
    lines = called.err.splitlines()
    assert called.code == 2 and len(lines) == 3, called.err
    assert what in lines[0] and where in lines[1], called.err
    assert tree(house.work) == before


def test_a_folder_that_is_not_there(house, monkeypatch):
    monkeypatch.setenv("BMX_CONF", os.pathsep.join([str(house.conf), "/no/such"]))
    called = house("train")
    assert called.code == 2 and "/no/such" in called.err and "BMX_CONF" in called.err
