"""Tab completion: what is offered, and that the scripts of the shells offer it."""

import os
import shutil
import subprocess
import sys

import pytest

from bmx.cli.main import main
from bmx.config.verbs import VERBS
from bmx.verbs.completion.command import candidates
from bmx.verbs.completion.shell_scripts import SCRIPTS
from tests.toy_house import REPOSITORY


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("bmx ", [*VERBS, "--help", "--version"]),
        ("bmx tr", ["train"]),
        ("bmx help ev", ["evaluate"]),
        ("bmx nix ", []),
        ("bmx completion ", ["bash", "zsh", "fish"]),
        ("bmx runs l", ["list", "limit="]),
        ("bmx train mo", ["model.", "model="]),
        ("bmx train model=", ["model=cnn", "model=net"]),
        ("bmx train model=c", ["model=cnn"]),
        ("bmx train -m model=net,", ["model=net,cnn", "model=net,net"]),
        ("bmx train model=cnn model.", ["model.depth=", "model.dropout="]),
        ("bmx train model=cnn model.de", ["model.depth="]),
        ("bmx train nest", ["nested.folder=", "nested.switch="]),
        ("bmx train nested.switch=", ["nested.switch=true", "nested.switch=false"]),
        ("bmx train batch_size=f", ["batch_size=full"]),
        ("bmx train epochs=", ["epochs=10"]),
        ("bmx train --c", ["--cfg", "--config-dir", "--config-name", "--config-path"]),
        ("bmx train --cfg ", ["job", "hydra", "all"]),
        ("bmx train --cfg=j", ["--cfg=job"]),
        ("bmx train -i search", ["searchpath"]),
        ("bmx train --config-dir lo", ["local/"]),
        ("bmx train outputs=lo", ["outputs=local/"]),
        ("bmx train data.dir=./local/", ["data.dir=./local/file"]),
        ("bmx train ~mod", ["~model", "~model."]),
        ("bmx evaluate +mod", ["+model="]),
        ("bmx train hydra/job_logging=b", ["hydra/job_logging=bmx"]),
        ("bmx train hydra.sweep.", ["hydra.sweep.dir=", "hydra.sweep.subdir="]),
        ("bmx train nonsense=1 model=c", ["model=cnn"]),
    ],
)
def test_what_is_offered(house, line, offered):
    (house.work / "local").mkdir()
    (house.work / "local" / "file").touch()
    assert candidates(line) == offered


def test_everything_is_offered_where_nothing_is_typed(house):
    offered = candidates("bmx train ")
    assert {"model=", "model.", "optim=", "lr=", "epochs=", "experiment="} <= set(offered)
    assert not [word for word in offered if word.startswith("hydra")]


def test_runs_are_offered_newest_first(house):
    house("train", "name=a")
    house("train", "name=b")
    ids = [run.name for run in house.runs()]
    assert candidates("bmx evaluate run=") == ["run=latest", f"run={ids[1]}", f"run={ids[0]}"]
    assert candidates("bmx train resume=la") == ["resume=latest"]


def test_the_cursor_may_stand_inside_the_line(house, monkeypatch, capsys):
    monkeypatch.setenv("COMP_LINE", "bmx train model=c lr=3")
    monkeypatch.setenv("COMP_POINT", str(len("bmx train model=c")))
    assert main(["_complete"]) == 0
    assert capsys.readouterr().out == "model=cnn\n"


def test_a_broken_configuration_is_silent(house, monkeypatch, capsys):
    (house.conf / "train.yaml").write_text("a: [")
    monkeypatch.setenv("COMP_LINE", "bmx train mod")
    monkeypatch.delenv("COMP_POINT", raising=False)
    assert main(["_complete"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("words", [[], ["bsh"], ["bash", "zsh"]])
def test_which_shell(words, capsys):
    assert main(["completion", *words]) == 2
    assert "bash" in capsys.readouterr().err


def run_shell(shell, script, house, tmp_path):
    """Run a shell with a ``bmx`` on its path that sees the test's configuration before bmx's own."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    program = tmp_path / "bin" / "bmx"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m bmx "$@"\n')
    program.chmod(0o755)
    python_path = os.pathsep.join([str(REPOSITORY), *sys.path])
    env = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "BMX_CONF": str(house.conf)}
    env["PYTHONPATH"] = os.pathsep.join(path for path in python_path.split(os.pathsep) if path)
    flags = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [shell, *flags, "-c", script], capture_output=True, text=True, env=env, check=False, timeout=280
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "words", "replies"),
    [
        ("bmx tr", ["bmx", "tr"], ["train "]),
        ("bmx train mo", ["bmx", "train", "mo"], ["model.", "model="]),
        # bash gives the function what follows the last = as a word of its own, and replaces only that.
        ("bmx train model=n", ["bmx", "train", "model", "=", "n"], ["net "]),
        ("bmx train -m model=net,c", ["bmx", "train", "-m", "model", "=", "net,c"], ["net,cnn "]),
    ],
)
def test_bash(house, tmp_path, line, words, replies):
    quoted = " ".join(f"'{word}'" for word in words)
    script = f"""
        eval "$(bmx completion bash)"
        COMP_LINE='{line}' COMP_POINT={len(line)} COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}
        _bmx_complete
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    found = run_shell("bash", script, house, tmp_path)
    assert [reply for reply in found if reply.strip() in {r.strip() for r in replies}] == replies


def test_bash_leaves_the_shells_word_breaks_alone(house, tmp_path):
    script = (
        'before="$COMP_WORDBREAKS"; eval "$(bmx completion bash)"; [[ "$before" == "$COMP_WORDBREAKS" ]] && echo same'
    )
    assert run_shell("bash", script, house, tmp_path) == ["same"]


def test_fish(house, tmp_path):
    script = 'bmx completion fish | source; complete -C "bmx train model=n"'
    assert "model=net" in run_shell("fish", script, house, tmp_path)


def test_zsh_reads_its_script(house, tmp_path):
    script = 'eval "$(bmx completion zsh)"; print $+functions[_bmx] ${_comps[bmx]}'
    assert run_shell("zsh", script, house, tmp_path) == ["1 _bmx"]


def test_every_script_asks_bmx():
    assert all("_complete" in script for script in SCRIPTS.values())


@pytest.mark.parametrize("word", ["outputs=my\\ runs", "\"outputs='my runs'\"", "'outputs=my runs'"])
def test_runs_are_found_in_quoted_outputs(house, word):
    run = house.work / "my runs/train/net/20261122-100000-aaaa"
    (run / "checkpoints").mkdir(parents=True)
    assert f"run={run.name}" in candidates(f"bmx evaluate {word} run=")
