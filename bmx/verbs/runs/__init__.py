"""bmx runs: lists the runs of an outputs folder."""

from bmx.config.verbs import Verb

VERB = Verb(
    place=80,
    help="what has been run, newest first",
    target="bmx.verbs.runs.command:main",
    examples=("bmx runs", "bmx runs list limit=5", "bmx runs list outputs=elsewhere --json"),
)
