"""Writes the runs that a command names as directories, before a run or a sweep of it makes new ones."""

from __future__ import annotations

import re
from pathlib import Path

from bmx.cli.verbs import Verb
from bmx.errors import UsageError
from bmx.sweep.quoting import quoted, unquoted

# As a whole value, or as one of several that a sweep goes through.
_LATEST = re.compile(r"(?<![^,(\[ ])latest(?![^,)\] ])")


def write_runs(words: list[str], verb: Verb, many: bool = False) -> list[str]:
    """The words with each run of ``verb.named_runs`` as its directory, and a word of a group as a choice of it.

    Of a sweep the best job is written. Where many jobs are run, ``init_from=latest`` is no sweep: the same words, given
    again to go on with the sweep that they made, would mean that sweep.
    """
    outputs = next((w.partition("=")[2] for w in reversed(words) if w.startswith("outputs=")), "outputs")
    folder = Path(outputs).expanduser()
    return [_written(word, verb, folder, many) for word in words]


def _written(word: str, verb: Verb, outputs: Path, many: bool) -> str:
    key, equals, value = word.partition("=")
    if not equals or key not in verb.named_runs or not value or value == "null":
        return word
    group = verb.named_runs[key]
    if group:
        named = unquoted(value)
        return f"{key}={quoted(_pinned(named, outputs))}" if _means_run(named) else f"{group}={value}"
    if key not in verb.lists:
        sweeps = not (many and key == "init_from")
        newest = _pinned("latest", outputs, sweeps=sweeps) if _LATEST.search(value) else "latest"
        value = value if newest == "latest" else _LATEST.sub(lambda _: quoted(newest), value)
        return f"{key}={_without_sweeps(value, outputs)}"
    # Written out already (a resumed run's own word), or a sweep over teachers written by hand.
    if value.startswith(("['", '["', "$")) or re.match(r"\w+\(", value):
        return word
    items = [unquoted(item.strip()) for item in value.strip("[]").split(",") if item.strip()]
    teacher = key == "teacher"
    return f"{key}=[{','.join(quoted(_pinned(item, outputs, teacher)) for item in items)}]"


def _without_sweeps(value: str, outputs: Path) -> str:
    """A value, or several with commas between them, with each sweep written as its best job."""
    from bmx.runs.best_job import is_sweep, tell
    from bmx.runs.finding import find, named

    written = []
    for item in [value] if re.search(r"[\[({]", value) else value.split(","):
        plain = unquoted(item.strip())
        try:
            sweep = is_sweep(named(plain, outputs)) if plain != "latest" and _means_run(plain) else False
            written.append(quoted(str(find(plain, outputs, tell=tell).resolve())) if sweep else item)
        except UsageError:  # a file, or a mistake that the verb's own check explains
            written.append(item)
    return ",".join(written)


def _means_run(value: str) -> bool:
    """Whether a value names a run rather than a word: ``latest``, an id (they begin with a date), a path."""
    return value == "latest" or value[:1].isdigit() or "/" in value or value.endswith(".ckpt") or Path(value).exists()


def _latest_teacher(outputs: Path) -> str:
    """The newest run to learn from: not what an earlier distillation made, nor the student it was compared with."""
    from bmx.runs import result
    from bmx.runs.finding import holds_model, newest_first, trained

    for run in newest_first(outputs, ("train", "compress", "sweep")):
        try:
            if (holds_model(run) and result.read(run).get("role") != "student alone") or trained(run):
                return str(run)
        except UsageError:
            continue
    return "latest"


def _pinned(value: str, outputs: Path, teacher: bool = False, sweeps: bool = True) -> str:
    """The directory or file that a value means; a value that means none as it is, for the verb's check to explain."""
    from bmx.runs.best_job import tell
    from bmx.runs.finding import find

    if value == "latest" and teacher:
        value = _latest_teacher(outputs)
    if not _means_run(value):
        return value
    if Path(value).expanduser().is_file():
        return str(Path(value).expanduser().resolve())
    try:
        return str(find(value, outputs, sweeps=sweeps, tell=tell).resolve())
    except UsageError:
        return value
