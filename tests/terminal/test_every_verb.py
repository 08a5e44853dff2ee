"""Every verb in a terminal, single and many at a time: whole words, nothing left over, in the signs that there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pseudo_terminal import in_terminal
from tests.terminal.seen import in_order
from tests.terminal.test_mission_lines import COLOUR

MODEL = ("data=iris", "model=mlp", "model.hidden=[8]")
SHORT = ("epochs=1", "plots=false")
VERBS = {
    "evaluate": ("evaluate", "run=latest"),
    "bench": ("bench", "run=latest", "batch_sizes=1,16"),
    "export": ("export", "run=latest", "format=safetensors"),
    "compress": ("compress", "run=latest", "compression=prune", *SHORT),
    "plan": ("train", *MODEL, "--plan"),
    "list": ("runs", "list"),
    "help": ("train", "--help"),
}
MANY = {
    "train": ("train", "-m", *MODEL, "lr=0.1,0.01", "epochs=1"),
    "evaluate": ("evaluate", "-m", "run=latest", "split=test,val"),
    "bench": ("bench", "-m", "model=mlp", "data=iris", "model.hidden=[4],[8]", "batch_sizes=1", "check_memory=false"),
    "export": ("export", "-m", "run=latest", "format=safetensors,pt2"),
    "compress": ("compress", "-m", "run=latest", "compression=prune,quantize_weights", "epochs=1"),
    "distill": ("distill", "-m", "teacher=latest", "student=mlp", "student.hidden=[4]", "epochs=1", "seed=0,1"),
    "search": ("sweep", "sweeper=random", "trials=2", *MODEL, "lr=tag(log,interval(1e-3,1e-1))", "epochs=1"),
}
KINDS = [(80, {}), (120, {"LC_ALL": "C", "NO_COLOR": "1"}), (60, {"TERM": "dumb"})]


def check(folder: Path, words: tuple[str, ...], columns: int, env: dict[str, str]) -> None:
    session = in_terminal(*words, folder=folder, columns=columns, env=env)
    in_order(session)
    if "LC_ALL" in env:
        assert session.raw.isascii() and not COLOUR.search(session.raw)
    if "TERM" in env:
        assert "\x1b" not in session.raw


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "env"), KINDS, ids=["80", "120-C", "60-dumb"])
@pytest.mark.parametrize("verb", VERBS)
def test_each_verb(iris: Path, verb: str, columns: int, env: dict[str, str]) -> None:
    check(iris, VERBS[verb], columns, env)


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "env"), KINDS[:2], ids=["80", "120-C"])
@pytest.mark.parametrize("verb", MANY)
def test_each_verb_many_times(iris: Path, verb: str, columns: int, env: dict[str, str]) -> None:
    check(iris, MANY[verb], columns, env)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "bmx"])
def test_a_sweep_of_hydras_own(tmp_path: Path, launcher: str) -> None:
    words = ("train", "-m", *MODEL, "lr=0.1,0.01", "epochs=1", "hydra/sweeper=basic", f"hydra/launcher={launcher}")
    check(tmp_path, words, 80, {})
