"""Verifies the CRC checksums of a torch file, which is a zip archive; torch does not check them."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path


class Damaged(ValueError):
    """A file whose bytes have changed since it was written."""


def check_zip(path: Path) -> None:
    """Reads every member of a zip archive and compares it with its checksum.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: it is not a complete archive, or a member does not match its checksum.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
    except FileNotFoundError:
        raise
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise Damaged(f"it is not whole: {error}") from error
    if wrong is not None:
        raise Damaged(f"{wrong.rpartition('/')[2]} in it is not what was written")
