"""``python -m bmx``: the same program as the console script ``bmx``; jobs of a sweep run it."""

from bmx.cli.main import main as main
from bmx.cli.main import run


def preload() -> None:
    """Imports the command-line modules that every running command needs."""
    from bmx.cli import callback, help, hydra_app, job  # noqa: F401


if __name__ == "__main__":
    run()
