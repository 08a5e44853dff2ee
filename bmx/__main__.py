"""``python -m bmx``: the same program as the console script ``bmx``, and as each job of a sweep runs it."""

from bmx.cli.main import main as main
from bmx.cli.main import run


def preload() -> None:
    """Imports what every command that runs something needs of the command line."""
    from bmx.cli import callback, help, hydra_app, job  # noqa: F401


if __name__ == "__main__":
    run()
