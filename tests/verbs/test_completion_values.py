"""Completion on bmx's own configuration: every word that a key takes is offered, in the shells too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bmx.config.schema import declaration_of, schema
from bmx.config.search_path import conf_dir
from bmx.config.verbs import VERBS
from bmx.config.yaml_comments import load
from bmx.verbs.completion.command import candidates


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BMX_CONF", raising=False)
    for number in range(2):
        run = tmp_path / f"outputs/train/mlp/2026010{number + 1}-000000-0000"
        (run / "checkpoints").mkdir(parents=True)
        (run / "checkpoints" / "best.ckpt").touch()


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("bmx export format=", "onnx pt2 safetensors packed"),
        ("bmx export preprocessing=", "inside beside"),
        ("bmx evaluate split=", "test val train"),
        ("bmx compress split=", "test val"),
        ("bmx train model=cnn model.pool=", "max avg"),
        ("bmx train device=", "auto cpu cuda mps"),
        ("bmx train precision=", "32-true bf16-mixed bf16-true 16-mixed 64-true"),
        ("bmx bench engines=", "eager compile onnx onnx_int8"),
        ("bmx bench engines=[", "eager compile onnx onnx_int8"),
        ("bmx bench engines=eager,", "eager compile onnx onnx_int8"),
        ("bmx compress stages=[prune,", "prune prune_structured low_rank quantize deep"),
        ("bmx compress compression.rule=", "kfac activation energy vbmf ratio"),
        ("bmx train plots=", "true false"),
        ("bmx train data.in_memory=", "true false auto"),
        ("bmx train lr=", "auto"),
        ("bmx train batch_size=", "full auto"),
        ("bmx sweep pruner=", "auto none median halving"),
        ("bmx sweep on_error=", "continue stop"),
        ("bmx sweep reuse=", "true false"),
        ("bmx sweep sweeper=", "basic gp grid nsga2 random tpe"),
        ("bmx sweep objective=", "auto accuracy loss rmse macs parameters bytes latency seconds"),
        ("bmx runs list verb=", "train compress distill sweep evaluate bench export"),
        ("bmx evaluate run=", "latest 20260102-000000-0000 20260101-000000-0000"),
        ("bmx train init_from=", "latest 20260102-000000-0000 20260101-000000-0000"),
        ("bmx train resume=", "latest 20260102-000000-0000 20260101-000000-0000"),
        ("bmx compress distillation=kd teacher=", "latest 20260102-000000-0000 20260101-000000-0000"),
    ],
)
def test_every_value_is_offered(line, values):
    offered = [word.rpartition("=")[2].rpartition(",")[2].lstrip("[") for word in candidates(line)]
    assert sorted(offered) == sorted(values.split())


def test_a_teacher_is_a_run_or_a_model_word():
    for key in ("teacher", "student"):
        offered = candidates(f"bmx distill {key}=")
        assert {f"{key}=latest", f"{key}=20260101-000000-0000", f"{key}=mlp", f"{key}=vit"} <= set(offered)


def test_files_are_offered_where_a_file_is_written():
    Path("model.onnx").touch()
    assert candidates("bmx export file=mo") == ["file=model.onnx"]
    assert "data.dir=outputs/" in candidates("bmx train data=mnist data.dir=")


@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if verb.config and name != "sweep"])
def test_whatever_a_root_declares_is_offered(verb):
    for key, entry in schema(VERBS[verb].config, None, (conf_dir(),)).root.items():
        words = declaration_of(entry).choices if entry.declares else ()
        if words:
            offered = candidates(f"bmx {verb} {key}=")
            assert set(words) <= {word.removeprefix(f"{key}=") for word in offered}, key
            assert not declaration_of(entry).nullable or f"{key}=null" in offered, key


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_offer_them(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    program = tmp_path / "bin" / "bmx"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m bmx "$@"\n')
    program.chmod(0o755)
    env = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    env["PYTHONPATH"] = os.pathsep.join([str(conf_dir().parent), *filter(None, sys.path)])
    script = {
        "bash": """
            eval "$(bmx completion bash)"
            COMP_LINE='bmx export format=' COMP_POINT=18 COMP_WORDS=(bmx export format =) COMP_CWORD=3
            _bmx_complete
            printf '%s\\n' "${COMPREPLY[@]}"
        """,
        # Without a line editor there is no completion system to ask: what the script hands to it is looked at.
        "zsh": """
            compdef() { : }; compadd() { shift; print -l -- ${@:#-*} }
            eval "$(bmx completion zsh)"
            words=(bmx export format=) LBUFFER='bmx export format='
            _bmx
        """,
        "fish": 'bmx completion fish | source; complete -C "bmx export format="',
    }[shell]
    flags = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [shell, *flags, "-c", script], capture_output=True, text=True, env=env, check=False, timeout=200
    )
    for value in ("onnx", "pt2", "safetensors", "packed"):
        assert value in done.stdout, (done.stdout, done.stderr)


def test_whatever_a_group_declares_is_offered():
    """Of every group, each key that takes one of a few words, whatever stands in the file of the chosen word."""
    seen = {}
    for path in sorted(conf_dir().glob("*/*.yaml")):
        group, package = path.parent.name, load(path).package
        if group in ("experiment", "space", "hydra"):
            continue
        verb = "compress" if group == "compression" else "distill" if group == "distillation" else "train"
        for key, entry in load(path).entries.items():
            words = declaration_of(entry).choices if entry.declares else ()
            prefix = "" if package == "_global_" else f"{package or group}."
            if words and seen.setdefault(f"{prefix}{key}", words) is words:
                offered = candidates(f"bmx {verb} {group}={path.stem} {prefix}{key}=")
                assert {f"{prefix}{key}={word}" for word in words} <= set(offered), (path, key)
    assert len(seen) >= 30
