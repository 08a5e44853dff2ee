"""bmx runs list."""

import json

import pytest


def test_runs_are_listed_newest_first(house):
    house("train", "name=first")
    house("train", "name=second")
    out = house("runs", "list").out
    assert out.index("second") < out.index("first")
    listed = json.loads(house("runs", "list", "--json", "limit=1").out)
    assert [row["name"] for row in listed] == ["second"]


def test_listing_is_what_it_does_alone(house):
    house("train", "name=first")
    assert house("runs").out == house("runs", "list").out != ""
    assert house("runs", "limit=1", "--json").out == house("runs", "list", "--json", "limit=1").out


def test_another_folder(house, tmp_path):
    house("train", f"outputs={tmp_path / 'else'}")
    assert "net-toy-sgd" in house("runs", "list", f"outputs={tmp_path / 'else'}").out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["limt=3"], "limit="),
        (["--jsno"], "--json"),
        (["lsit"], "bmx runs list"),
        (["list", "limt=3"], "limit="),
        (["list", "limit=x"], "limit=20"),
        (["list", "limit="], "limit=VALUE"),
        (["list", "--jsno"], "--json"),
        (["list", "outputs=/no/such"], "no folder '/no/such'"),
    ],
)
def test_wrong_words(house, words, says):
    called = house("runs", *words)
    assert called.code == 2 and says in called.err and len(called.err.splitlines()) == 3
