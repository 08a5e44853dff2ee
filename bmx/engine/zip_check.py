"""Whether a file that torch wrote is as it was written: it is a zip archive, whose checksums torch does not look at."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path


class Damaged(ValueError):
    """A file whose bytes are not those that were written."""


def check_zip(path: Path) -> None:
    """Reads every part of an archive and compares it with its checksum.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: it is no whole archive, or a part is not what was written.
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
