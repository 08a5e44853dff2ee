"""A disk that fills up at any point of any verb: three lines that say so, exit 1, and never a riddle of the writer."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import bmx
from bmx.cli.main import main
from bmx.engine import durable
from bmx.errors import RunFailed, no_room
from tests import warm_process

_WORDS = ["data=iris", "model=mlp", "model.hidden=[64]", "epochs=2", "lr=0.1"]
_SAYS = ("disk is full", "no space left", "No space left", "file may not become so large", "File too large")


class _Full:
    """Takes so many bytes, then no more, as a full disk."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        size = memoryview(data).nbytes
        self.room -= size
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_torchs_writer_is_told_of_a_full_disk_wherever_it_stands(tmp_path):
    content = {"weights": torch.zeros(500), "name": "x"}
    path = tmp_path / "whole.pt"
    durable.write(path, lambda file: torch.save(content, file))
    size = path.stat().st_size
    for room in range(0, size, 61):
        with (tmp_path / "part").open("wb") as file, pytest.raises(OSError, match="No space left") as raised:
            durable.fill(_Full(file, room), lambda told: torch.save(content, told))
        assert raised.value.errno == errno.ENOSPC
    assert torch.load(path, weights_only=True)["name"] == "x"


def test_a_full_disk_is_known_by_whatever_the_writers_say():
    full = OSError(errno.ENOSPC, "No space left on device")
    assert no_room(full).what == "the disk is full"
    assert no_room(OSError(errno.EDQUOT, "x", "here")).where == "here"
    assert no_room(RuntimeError("[enforce fail at x.cc:672] . unexpected pos 7936 vs 7888")) is not None
    assert (
        no_room(RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")) is not None
    )
    wrapped = ValueError("told by another")
    wrapped.__cause__ = full
    assert no_room(wrapped, "there").where == "there"
    assert no_room(ValueError("something else")) is None
    assert no_room(OSError(errno.ENOENT, "No such file")) is None


@pytest.fixture
def trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bmx.train(bmx.compose("train", [*_WORDS, "plots=false", "outputs=whole"]), quiet=True)
    (run,) = Path("whole/train").glob("*/*")
    return run.resolve()


@pytest.fixture
def small(tmp_path):
    """Mounts a disk of so many kilobytes; as root only."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = []

    def mount(kilobytes):
        if mounted:
            _unmount(folder)
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("nothing can be mounted here")
        mounted.append(folder)
        return folder

    yield mount
    if mounted:
        _unmount(folder)


def _unmount(folder):
    # Lazily: a logger that failed may keep its file open until the process ends.
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_disk_that_fills_up_is_told_by_every_verb(trained, small, capfd, monkeypatch):
    """Sizes from too small for Hydra's records to almost enough; a disk with room for it all must work."""
    commands = [
        (["train", *_WORDS], (8, 20, 28, 40, 64, 100)),
        (["train", *_WORDS, "logger=tensorboard", "profile=true", "plots=false"], (40, 100)),
        (["evaluate", f"run={trained}"], (8, 28, 60)),
        (["bench", f"run={trained}", "seconds=0.01", "batch_sizes=1"], (8, 28)),
        (["export", f"run={trained}", "format=safetensors"], (8, 28)),
        (["export", f"run={trained}", "format=packed"], (24,)),
        (["export", f"run={trained}", "format=pt2"], (28, 36)),
        (["compress", f"run={trained}", "compression=prune", "engines=[]", "epochs=1"], (28, 48, 80)),
    ]
    failed = 0
    for words, sizes in commands:
        for size in sizes:
            outputs = small(size) / "o"
            capfd.readouterr()
            code = main([*words, f"outputs={outputs}"])
            said = [line for line in capfd.readouterr().err.splitlines() if line.strip()]
            assert code in (0, 1, 2), (words, size)
            if code:
                failed += 1
                assert 2 <= len(said) <= 3, (words, size, said)
                assert any(text in said[0] for text in _SAYS), (words, size, said)
                assert said[-1].startswith("  do:    ")
    assert failed >= len(commands)


def test_a_full_cache_does_not_stop_a_run(trained, small, monkeypatch, capfd):
    cache = small(8)
    monkeypatch.setenv("BMX_CACHE", str(cache))
    assert main(["train", "data=digits", "model=mlp", "epochs=1", "plots=false"]) == 0
    assert main(["train", "data=digits", "model=mlp", "epochs=1", "plots=false", "data.in_memory=false"]) == 2
    said = capfd.readouterr().err
    assert "data.in_memory=false needs a folder for the samples" in said
    assert main(["train", "data=digits", "model=mlp", "epochs=1", "plots=false", "data.in_memory=true"]) == 0  # advised


def _limit():
    sys.dont_write_bytecode = True  # CPython 3.11 would leave modules in the sources' tree that are cut at that size
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))


def test_a_limit_on_the_size_of_files(tmp_path):
    """RLIMIT_FSIZE, as batch systems set it."""
    env = {"PYTHONDONTWRITEBYTECODE": "1"}
    done = warm_process.bmx("train", *_WORDS, "plots=false", folder=tmp_path, env=env, first=_limit)
    assert done.code == 1, done.err
    said = done.err.splitlines()
    assert len(said) == 3, done.err
    assert any(text in said[0] for text in _SAYS), said


def test_python_is_told_too(tmp_path, small):
    outputs = small(48) / "o"
    with pytest.raises((RunFailed, OSError)) as raised:
        bmx.train(bmx.compose("train", [*_WORDS, "plots=false", f"outputs={outputs}"]), quiet=True)
    assert any(text in str(raised.value) for text in _SAYS)
