import logging
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from bmx.data.pipeline import cache
from bmx.data.pipeline.cache import cache_folder, cached_arrays


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BMX_CACHE", str(tmp_path / "cache"))
    cache.warn_once.cache_clear()
    return tmp_path / "cache"


class Builder:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {"numbers": np.arange(1000, dtype=np.int16), "words": np.array(["é", "abc"])}


def test_arrays_are_built_once_and_come_back_the_same():
    build = Builder()
    first, second = cached_arrays("a-1.0", build), cached_arrays("a-1.0", build)
    assert build.calls == 1
    assert list(first) == list(second)
    for name in first:
        assert first[name].dtype == second[name].dtype
        np.testing.assert_array_equal(first[name], second[name])


def test_another_key_is_another_entry():
    build = Builder()
    cached_arrays("a-1.0", build)
    cached_arrays("a-1.1", build)
    assert build.calls == 2


def test_an_array_may_be_written_to():
    cached_arrays("a", Builder())
    cached_arrays("a", Builder())["numbers"][0] = 7


def cut(path):
    path.write_bytes(path.read_bytes()[:-10])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("file", ["numbers.npy", "words.npy", "index.json"])
@pytest.mark.parametrize("harm", [cut, flip, lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_a_damaged_entry_is_made_anew(folder, file, harm):
    build = Builder()
    cached_arrays("a", build)
    harm(folder / "arrays" / "a" / file)
    assert cached_arrays("a", build)["numbers"].sum() == 499500
    assert build.calls == 2
    cached_arrays("a", build)
    assert build.calls == 2
    assert sorted(path.name for path in (folder / "arrays").iterdir()) == ["a", "a.lock"]


def test_a_failing_build_leaves_nothing_and_says_why(folder):
    def fail():
        raise RuntimeError("no such file")

    with pytest.raises(RuntimeError, match="no such file"):
        cached_arrays("a", fail)
    assert not (folder / "arrays" / "a").exists()
    assert cached_arrays("a", Builder())["numbers"].size == 1000


def test_without_a_folder_to_write_to_it_works_and_warns_once(monkeypatch, caplog):
    monkeypatch.setenv("BMX_CACHE", "/dev/null/cache")
    build = Builder()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert cached_arrays("a", build)["numbers"].size == 1000
    assert build.calls == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "BMX_CACHE" in caplog.text


def test_a_full_disk_costs_the_cache_only(folder, monkeypatch, caplog):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with caplog.at_level(logging.WARNING):
        assert cached_arrays("a", Builder())["numbers"].size == 1000
    assert "No space left" in caplog.text
    assert [path.name for path in (folder / "arrays").iterdir()] == ["a.lock"]


def test_four_processes_build_once(folder, tmp_path):
    script = textwrap.dedent("""
        import os, sys, time
        import numpy as np
        from bmx.data.pipeline.cache import cached_arrays

        def build():
            with open(sys.argv[1], "a") as log:
                log.write("built\\n")
            time.sleep(0.3)
            return {"numbers": np.arange(100_000)}

        print(cached_arrays("shared", build)["numbers"].sum())
        assert "torch" not in sys.modules
    """)
    log = tmp_path / "builds.txt"
    command = [sys.executable, "-c", script, str(log)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert {process.communicate(timeout=240)[0].strip() for process in processes} == {"4999950000"}
    assert all(process.returncode == 0 for process in processes)
    assert log.read_text() == "built\n"


def test_the_folder_is_the_platforms_where_none_is_chosen(monkeypatch):
    monkeypatch.delenv("BMX_CACHE")
    assert cache_folder().name == "bmx"
    monkeypatch.setenv("BMX_CACHE", "~/somewhere")
    assert "~" not in str(cache_folder())
