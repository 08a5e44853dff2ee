from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bmx.errors import UsageError
from bmx.runs import status as liveness
from bmx.runs.locking import is_locked, lock

HOLD = "import sys, time; from pathlib import Path; from bmx.runs.directory import lock\n"
HOLD += "h = lock(Path(sys.argv[1])); print('held', flush=True); time.sleep(900)"


@pytest.fixture
def holder(tmp_path: Path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_the_second_writer_is_told_who_is_first(tmp_path: Path, holder) -> None:
    assert is_locked(tmp_path)
    with pytest.raises(UsageError) as error:
        lock(tmp_path)
    assert f"is being written by process {holder.pid} on host {socket.gethostname()}" in error.value.what
    assert error.value.where == str(tmp_path)
    assert f"kill {holder.pid}" in error.value.fix


def test_the_lock_dies_with_its_process(tmp_path: Path, holder) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert not is_locked(tmp_path)
    with lock(tmp_path):
        assert is_locked(tmp_path)
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()} {socket.gethostname()}\n"
    assert not is_locked(tmp_path)


def test_release_twice_and_again(tmp_path: Path) -> None:
    handle = lock(tmp_path)
    with pytest.raises(UsageError):
        lock(tmp_path)
    handle.release()
    handle.release()
    lock(tmp_path).release()


def test_a_forked_worker_does_not_keep_the_lock(tmp_path: Path) -> None:
    handle = lock(tmp_path)
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        os._exit(0)
    try:
        os.read(ready[0], 1)
        handle.release()
        assert not is_locked(tmp_path)
    finally:
        os.write(go[1], b"x")
        os.waitpid(child, 0)


def test_a_passing_reader_does_not_turn_a_writer_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, refused = fcntl.flock, iter([True, True])

    def once_busy(descriptor: int, operation: int) -> None:
        if next(refused, False):
            raise BlockingIOError(errno.EWOULDBLOCK, "busy")
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", once_busy)
    lock(tmp_path).release()


def test_a_file_system_without_locks_does_not_stop_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with lock(tmp_path), lock(tmp_path):
        assert not is_locked(tmp_path)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        lock(tmp_path / "missing")
    assert not is_locked(tmp_path / "missing")


def test_status_of_a_running_run(tmp_path: Path, holder) -> None:
    me = liveness.this_process()
    free = tmp_path / "free"
    free.mkdir()

    def status(**changes: object) -> str:
        return liveness.status(free, {"status": "running", "process": {**me, **changes}})

    assert status() == "running"
    assert status(boot="another") == "died"
    assert status(host="elsewhere") == "running?"
    assert status(born=1) == "died", "the same pid, but another process"
    assert status(pid=None) == "died"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert status(pid=gone.pid, born=None) == "died"
    assert liveness.status(free, {"status": "failed", "process": me}) == "failed"
    assert liveness.status(free, {}) == "unknown"
    # Whatever the result says of its process, a held lock is a living writer.
    assert liveness.status(tmp_path, {"status": "running", "process": {**me, "boot": "another"}}) == "running"


def test_a_zombie_has_died(tmp_path: Path) -> None:
    zombie = subprocess.Popen([sys.executable, "-c", "print('x', flush=True)"], stdout=subprocess.PIPE)
    try:
        assert zombie.stdout is not None
        zombie.stdout.read()  # ends when the process does
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        process = {**liveness.this_process(), "pid": zombie.pid, "born": 12345}
        assert liveness.status(tmp_path, {"status": "running", "process": process}) == "died"
    finally:
        zombie.wait()
