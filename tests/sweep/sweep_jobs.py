"""Jobs that take a moment, on 40 small images, and what they leave behind."""

import json

TINY = (
    "model=linear",
    "data=synthetic",
    "data.samples=40",
    "data.test_samples=10",
    "data.classes=2",
    "data.shape=[1,4,4]",
    "batch_size=20",
    "epochs=1",
)


def sweeps(work):
    """The sweep directories, oldest first."""
    return sorted(work.glob("outputs/sweep/*/2*"))


def results(sweep):
    """The result of every job of a sweep, by its key."""
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(sweep.glob("jobs/*/result.json"))}
