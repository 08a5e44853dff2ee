"""``python -m bmx``: the same program as the console script ``bmx``."""

from bmx.cli.main import run

if __name__ == "__main__":
    run()
