"""The runs that a command names are settled when it is given, and not when its last job begins."""

import pytest

from bmx.cli.references import write_runs
from bmx.cli.verbs import VERBS


@pytest.fixture
def newest(tmp_path, monkeypatch):
    """The newest of two runs that hold a model, in ./outputs."""
    monkeypatch.chdir(tmp_path)
    for number in ("20261122-100000-aaaa", "20261122-110000-bbbb"):
        run = tmp_path / "outputs" / "train" / "mlp" / number
        (run / "checkpoints").mkdir(parents=True)
        (run / "checkpoints" / "best.ckpt").write_bytes(b"")
        (run / "config.yaml").write_text("")
    return str(run)


@pytest.mark.parametrize(
    ("verb", "word", "written"),
    [
        ("compress", "run=latest", "run={}"),
        ("compress", "run=latest,20261122-100000", "run={},20261122-100000"),
        ("compress", "run=choice(20261122-100000, latest)", "run=choice(20261122-100000, {})"),
        ("compress", "teacher=latest", "teacher={}"),
        ("compress", "name=latest", "name=latest"),
        ("compress", "run=my/latest-run", "run=my/latest-run"),
        ("train", "init_from=latest", "init_from={}"),
        ("sweep", "init_from=null,latest", "init_from=null,{}"),
        ("evaluate", "run=latest", "run={}"),
        ("export", "run=latest", "run={}"),
    ],
)
def test_latest_is_written_out(newest, verb, word, written):
    assert write_runs([word], VERBS[verb]) == [written.format(newest)]


def test_without_a_run_the_word_is_left_to_be_explained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert write_runs(["run=latest"], VERBS["compress"]) == ["run=latest"]


def test_the_outputs_of_the_command_are_searched(newest, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    words = [f"outputs={tmp_path / 'outputs'}", "run=latest"]
    assert write_runs(words, VERBS["compress"])[1] == f"run={newest}"
