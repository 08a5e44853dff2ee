"""Downloads data sets by torchvision into the data folder."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bmx.data.pipeline.cache import cache_folder
from bmx.errors import UsageError

_LOG = logging.getLogger(__name__)
# torchvision opens its connections without a timeout.
_SILENCE_SECONDS = 30
_LOCK = ".bmx-download.lock"


def data_folder(folder: str | os.PathLike[str] | None) -> Path:
    """The folder of ``data.dir``; null is ``data`` in bmx's cache folder."""
    return Path(folder).expanduser() if folder else cache_folder() / "data"


def fetch(
    name: str, folder: Path, needed: str, present: Callable[[], bool], download: Callable[[Path], object]
) -> None:
    """Downloads a data set into ``folder``, completely or not at all, once for any number of processes.

    Args:
        name: the option of ``data``, for the messages.
        folder: destination folder.
        needed: the path inside ``folder`` at which the files are expected, such as ``MNIST/raw``.
        present: returns whether the files exist.
        download: downloads into the empty folder that it gets.

    Raises:
        UsageError: the folder cannot be written, or the set cannot be downloaded.
    """
    from filelock import FileLock

    try:
        # Opening the lock is the first operation that fails in a read-only folder.
        with _kept_if_filled(folder), FileLock(folder / _LOCK):
            if present():
                return
            _LOG.info("downloading '%s' into %s", name, folder)
            with tempfile.TemporaryDirectory(prefix=".bmx-download-", dir=folder) as fresh:
                _download(name, folder / needed, Path(fresh), download)
                _move(Path(fresh), folder)
    except OSError as error:
        raise _absent(name, folder / needed, f"{folder} cannot be written ({error.strerror or error})") from None


@contextlib.contextmanager
def _kept_if_filled(folder: Path) -> Iterator[None]:
    """Creates a folder; removes it again, with the parents created for it, if it is still empty at the end."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # another process is using it, or has put something there
            if made:
                (folder / _LOCK).unlink(missing_ok=True)
            for path in made:
                path.rmdir()
        raise


def _download(name: str, wanted: Path, fresh: Path, download: Callable[[Path], object]) -> None:
    said = io.StringIO()
    try:
        # The library prints each mirror that fails; the error below has the relevant part.
        with _impatient(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            download(fresh)
    except Exception as error:
        # A download fails as URLError, RuntimeError, http.client's errors, zlib's, ... depending on where it stops.
        raise _absent(name, wanted, f"the download failed ({type(error).__name__}: {_in_one_line(error)})") from None


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SILENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _move(fresh: Path, folder: Path) -> None:
    """Moves the downloaded files to their destination, except the archives that were unpacked."""
    files = {path for path in fresh.rglob("*") if path.is_file()}
    for path in sorted(files):
        unpacked = path.name.endswith(".tar.gz") or (path.suffix == ".gz" and path.with_suffix("") in files)
        if not unpacked:
            target = folder / path.relative_to(fresh)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)


def _in_one_line(error: Exception) -> str:
    """The first and last line of an error message: torchvision lists its mirrors between them."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))


def _absent(name: str, wanted: Path, why: str) -> UsageError:
    return UsageError(
        f"the files of '{name}' are not there and {why}",
        str(wanted),
        f"put the files into {wanted} (or set data.dir), or use data=mnist_5k, which needs no network",
    )
