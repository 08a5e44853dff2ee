"""``bmx train resume=RUN``: go on with a run in its own directory, from its own words and what is added to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bmx.cli.flags import Command
from bmx.cli.taken_up import check_folder, check_words
from bmx.cli.yaml_source import Loader
from bmx.config.retired import without_retired
from bmx.errors import UsageError
from bmx.runs.slurm import remembered
from bmx.sweep.quoting import quoted, unquoted
from bmx.targets.standing import KEY as TRUST

KEY = "resume"
"""Holds the run directory in the composed configuration; null in a run that starts afresh."""


def expand(command: Command) -> Command:
    """The command with ``resume=RUN`` written out: the run's own words, then the new ones, then its directory.

    A new word takes the place of the run's own word for the same key. Commands without ``resume=`` are left alone.

    Raises:
        UsageError: if there is no such run, it kept no words, or it is to be swept over.
    """
    named = [word for word in command.words if word.startswith(f"{KEY}=")]
    if not named and not command.on("--multirun") and (again := remembered(_outputs(command.words))):
        # A requeued SLURM job repeats its first command, but it is the same run.
        named = [f"{KEY}={again}"]
    if not named or named[-1] == f"{KEY}=null":
        return command
    if command.on("--multirun"):
        raise UsageError("a sweep cannot resume one run", named[-1], "leave out -m, or leave out resume=")
    from bmx.runs import result as results
    from bmx.runs.best_job import is_sweep
    from bmx.runs.directory import find

    added = [word for word in command.words if not word.startswith(f"{KEY}=")]
    wanted = unquoted(named[-1].partition("=")[2])
    try:
        run = find(wanted, _outputs(added), command.verb if wanted == "latest" else None, resumable=True).resolve()
    except UsageError as error:
        raise UsageError(error.what, named[-1], error.fix) from error
    if is_sweep(run):
        again = results.read(run).get("command") if (run / results.RESULT).exists() else None
        fix = f"give its command again: {again}" if again else "give the command that made it again"
        raise UsageError("this is a sweep, not a run", named[-1], fix)
    keys = {_key(word) for word in added}
    own = [word for word in own_words(run) if _key(word) not in keys and _key(word) not in (KEY, TRUST)]
    check_words(own, run)
    where = [f"{KEY}={quoted(str(run))}", f"hydra.run.dir={quoted(str(run))}"]
    flags = dict(command.flags)
    folder = _config_dir(run)
    if folder and "--config-dir" not in flags:
        check_folder(command.verb, own, added, folder, run)
        flags["--config-dir"] = folder
    return command._replace(flags=flags, words=[*own, *added, *where])


def own_words(run: Path) -> list[str]:
    """The words that a run was started with.

    Raises:
        UsageError: it did not keep them.
    """
    file = run / ".hydra" / "overrides.yaml"
    words = _read(file)
    if not isinstance(words, list):
        raise UsageError("this run did not keep the words it was started with", str(file), "start a new run instead")
    return without_retired([str(word) for word in words], run)


def _config_dir(run: Path) -> str | None:
    """The folder that the run was given with ``--config-dir``, if it is still there."""
    kept = _read(run / ".hydra" / "hydra.yaml")
    sources = kept["hydra"]["runtime"].get("config_sources") or [] if isinstance(kept, dict) and "hydra" in kept else []
    for source in sources:
        if source.get("provider") == "command-line" and Path(source["path"]).is_dir():
            return str(source["path"])
    return None


def _read(file: Path) -> Any:
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader=Loader)
    except (OSError, yaml.YAMLError):
        return None


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _outputs(words: list[str]) -> Path:
    named = [word.partition("=")[2] for word in words if word.startswith("outputs=")]
    return Path(named[-1] if named else "outputs").expanduser()
