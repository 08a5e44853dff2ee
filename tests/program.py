"""The real program, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def bmx(folder, *words, **environment):
    """Runs a command line of bmx to its end; with exit code and what it printed.

    Args:
        folder: where it stands.
        words: after ``bmx``.
        environment: variables besides those of this process.
    """
    return subprocess.run(
        [sys.executable, "-m", "bmx", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )


def done(folder, *words, **environment):
    """What a command prints that must succeed."""
    ran = bmx(folder, *words, **environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
