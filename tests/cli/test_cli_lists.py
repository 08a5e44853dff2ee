"""Words that are lists for one job, and flags that stand for a word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bmx
from bmx.cli.main import main
from bmx.cli.rewriting import write_lists, write_switches


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("run=a,b", "run=['a','b']"),
        ("run=a", "run=['a']"),
        ("run=[a, b=1]", "run=['a','b=1']"),
        ("run=['a',b]", "run=['a',b]"),
        ("run=[a],[b]", "run=[a],[b]"),
        ("run=[]", "run=[]"),
        ("run=null", "run=null"),
        ("run=outputs/x=1/a, b", "run=['outputs/x=1/a','b']"),
        ("run=it's", "run=['it\\'s']"),
        ("run='a,b'", "run='a,b'"),
        ("batch_sizes=1,256", "batch_sizes=[1,256]"),
        ("model=a,b", "model=a,b"),
        ("run.x=a,b", "run.x=a,b"),
    ],
)
def test_lists(word: str, written: str) -> None:
    assert write_lists([word], ("run", "batch_sizes")) == [written]


def test_hydra_reads_what_is_written() -> None:
    config = bmx.compose("bench", ["model=lenet5", "engines=eager,onnx", "batch_sizes=1,64"])
    assert list(config.engines) == ["eager", "onnx"] and list(config.batch_sizes) == [1, 64]


@given(st.lists(st.text("ab=+:/.-_ ()'\\é7", min_size=1).map(str.strip).filter(bool), min_size=1, max_size=3))
def test_any_path_survives(paths: list[str]) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    if paths[0][0] in "['\"$":
        return
    paths = [path for path in paths if path[0] not in "'\""] or ["x"]
    (word,) = write_lists(["run=" + ",".join(paths)], ("run",))
    value = OverridesParser.create().parse_override(word).value()
    numbers = [int(path) if path.lstrip("-").isdigit() else path for path in paths]
    assert value == numbers or [str(v) for v in value] == paths


def test_switches() -> None:
    assert write_switches(["a=1", "--plan"], {"--plan": ("plan=true", "")}) == ["a=1", "plan=true"]


def test_a_switch_is_in_the_help_of_its_verb_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    assert "--plan" in capsys.readouterr().out
    assert main(["bench", "--help"]) == 0
    said = capsys.readouterr().out
    assert "--plan" not in said and "batch_sizes" in said
    assert main(["bench", "model=lenet5", "--plan"]) == 2
