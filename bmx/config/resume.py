"""Resumes a run in its own directory: ``bmx train resume=RUN``, with its recorded overrides and any new ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from bmx.config import override_grammar
from bmx.config.flags import Command
from bmx.config.outputs_folder import outputs_folder, value_of
from bmx.config.quoting import quoted
from bmx.config.resolve_runs import words_for_runs
from bmx.config.resumed_words import check_folder, check_words
from bmx.config.retired_keys import without_retired
from bmx.config.validation import RETIRED
from bmx.config.verbs import VERBS
from bmx.config.yaml_source import Loader
from bmx.errors import UsageError
from bmx.runs.slurm import job_id, remembered
from bmx.targets.standing import KEY as TRUST

KEY = "resume"
"""Key of the run directory in the composed configuration; null in a new run."""
PLACE = "hydra.run.dir"
_ROOT = "resumed"


def expand(command: Command) -> Command:
    """Expands ``resume=RUN``: the run's recorded overrides, then the new ones, then its directory.

    A new override replaces the run's own for the same key. Runs that it was initialised from stay those that they
    were, whatever ``latest`` means by now. Commands without ``resume=`` are returned unchanged.

    Raises:
        UsageError: there is no such run, it was made by another verb, it stored neither overrides nor configuration,
            or it is to be swept over.
    """
    named = [word for word in command.words if override_grammar.key_of(word) == KEY and not word.startswith("~")]
    if not named and not command.on("--multirun") and job_id() and (again := remembered(_outputs(command))):
        # A requeued SLURM job repeats its first command, for the same run.
        named = [f"{KEY}={quoted(str(again))}"]
    if not named or override_grammar.taken_apart(named[-1]).is_null:
        return command
    if command.on("--multirun"):
        raise UsageError("a sweep cannot resume one run", named[-1], "leave out -m, or leave out resume=")
    added = [word for word in command.words if override_grammar.key_of(word) != KEY]
    run = find_run(_named(named[-1], command), command.verb, lambda: _outputs(command), named[-1])
    _refuse_place(added, run)
    flags, own = dict(command.flags), own_words(run)
    if own is None:
        own, flags["--config-name"] = [], _root_of(run, command.verb, added)
    else:
        runs = words_for_runs(_stored(run), VERBS[command.verb])
        own = [*(word for word in own if override_grammar.key_of(word) not in runs), *runs.values()]
    keys = {KEY, TRUST, *map(override_grammar.key_of, added)}
    own = [word for word in own if override_grammar.key_of(word) not in keys]
    check_words(own, run)
    folder = _own_folder(run) if own else None
    if folder and "--config-dir" not in flags:
        check_folder(command.verb, own, added, folder, run)
        flags["--config-dir"] = folder
    where = [f"{KEY}={quoted(str(run))}", f"{PLACE}={quoted(str(run))}"]
    return command._replace(flags=flags, words=[*own, *added, *where])


def find_run(wanted: str, verb: str, outputs: Any, where: str) -> Path:
    """The directory of the run to resume.

    Args:
        wanted: ``latest``, a run directory or its id.
        verb: that resumes it.
        outputs: returns the outputs folder.
        where: the argument that names the run, for messages.

    Raises:
        UsageError: there is no such run, or another verb made it.
    """
    from bmx.runs import result
    from bmx.runs.best_job import is_sweep
    from bmx.runs.directory import find

    try:
        run = find(wanted, outputs(), verb if wanted == "latest" else None, resumable=True).resolve()
    except UsageError as error:
        raise UsageError(error.what, where, error.fix) from error
    try:
        known = result.read(run)
    except UsageError:  # stopped before its first result was written
        known = {}
    if is_sweep(run):
        again = known.get("command")
        fix = f"give its command again: {again}" if again else "give the command that made it again"
        raise UsageError("this is a sweep, not a run", where, fix)
    made_by = str(known.get("verb") or verb)
    if made_by != verb:
        fix = f"bmx {made_by} resume={run.name}" if made_by in VERBS and VERBS[made_by].resumes else f"bmx {made_by}"
        raise UsageError(f"this is a run of bmx {made_by}, not of bmx {verb}", where, fix)
    return run


def _named(word: str, command: Command) -> str:
    """The run that an override names; a path that Hydra's grammar accepts only in quotes needs none here."""
    text = override_grammar.taken_apart(word).text or ""
    wanted = override_grammar.value(word)
    if wanted is None or not override_grammar.is_interpolated(wanted):
        return override_grammar.unquoted(text) if wanted is None else wanted
    words = [one for one in command.words if override_grammar.key_of(one) not in VERBS[command.verb].named_runs]
    return str(value_of(KEY, command.verb, words, command.flags) or "")


def _outputs(command: Command) -> Path:
    without = (KEY, *VERBS[command.verb].named_runs)
    return outputs_folder(command.verb, command.words, command.flags, without)


def _refuse_place(added: list[str], run: Path) -> None:
    """Raises UsageError for a new output directory: a run resumes in its own."""
    word = next((word for word in reversed(added) if override_grammar.key_of(word) == PLACE), None)
    if word is not None and Path(override_grammar.value(word) or "").resolve() != run:
        fix = f"leave {PLACE} out, or leave out resume="
        raise UsageError("a run goes on in its own directory", f"the argument '{word}'", fix)


def own_words(run: Path) -> list[str] | None:
    """The overrides that a run was last started with; None where they do not reproduce its configuration.

    That is so with ``hydra.output_subdir=null``, with a user's own root file or root directory, and once the run was
    resumed from Python.
    """
    from bmx.runs import result

    words, hydra = _read(run / ".hydra" / "overrides.yaml"), _hydra(run)
    if not isinstance(words, list):
        return None
    try:
        known = result.read(run)
    except UsageError:  # stopped before its first result was written
        known = {}
    verb = VERBS.get(str(known.get("verb")))
    root = (hydra.get("job") or {}).get("config_name")
    own_root = root in (None, verb.config) if verb is not None else root != _ROOT
    own_conf = all(_is_own_conf(path) for provider, path in _sources(hydra) if provider == "main")
    since = bool(words) and known.get("overrides") == []
    if not own_root or not own_conf or since:
        return None
    return without_retired([str(word) for word in words], run)


def _stored(run: Path) -> dict[str, Any]:
    """The stored configuration of a run; empty if it was stopped before that was written."""
    for file in (run / "config.yaml", run / ".hydra" / "config.yaml"):
        kept = _read(file)
        if isinstance(kept, dict):
            return kept
    return {}


def _own_folder(run: Path) -> str | None:
    """The config directory given to the run by ``--config-dir``, if it still exists."""
    folders = (path for provider, path in _sources(_hydra(run)) if provider == "command-line")
    return next((path for path in folders if Path(path).is_dir()), None)


def _hydra(run: Path) -> dict[str, Any]:
    """The Hydra configuration stored in a run; empty where there is none."""
    kept = _read(run / ".hydra" / "hydra.yaml")
    node = kept.get("hydra") if isinstance(kept, dict) else None
    return node if isinstance(node, dict) else {}


def _sources(hydra: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The provider and path of each source of configuration."""
    for source in (hydra.get("runtime") or {}).get("config_sources") or []:
        yield str(source.get("provider")), str(source.get("path") or "")


def _is_own_conf(path: str) -> bool:
    """Whether a folder is bmx's own conf, which may have moved since the run was made."""
    from bmx.config.search_path import conf_dir

    beside = Path(path).parent  # the package once installed, or the checkout that holds it
    in_bmx = any((folder / "cli" / "main.py").is_file() for folder in (beside, beside / "bmx"))
    return in_bmx or Path(path).resolve() == conf_dir().resolve()


def _root_of(run: Path, verb: str, added: list[str]) -> str:
    """Writes the stored configuration of a run without overrides as a root configuration; returns its name.

    Needed after ``bmx.train(cfg)``, and with ``hydra.output_subdir=null``. The content of groups is in it already; a
    group that is chosen anew replaces its old content.
    """
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    from bmx.config.folders import root_file
    from bmx.config.override_errors import groups
    from bmx.config.search_path import make_loader

    file = run / "config.yaml"
    kept = _read(file)
    if not isinstance(kept, dict):
        what = "this run did not keep the words it was started with, nor its configuration"
        raise UsageError(what, str(file), "start a new run instead")
    known = groups(make_loader(verb))
    chosen = [word for word in map(override_grammar.taken_apart, added) if word.key in known]
    own = {"defaults", "hydra", *(word.key for word in chosen)}
    content = {key: value for key, value in kept.items() if key not in own} | {TRUST: None}
    # Keys that the verb's own root sets next to a group, as data.leave_out, are set again.
    root = _read(root_file(VERBS[verb].config)) or {}
    content |= {word.key: root[word.key] for word in chosen if isinstance(root.get(word.key), dict)}
    for node, keys in RETIRED.items():
        for key in keys:
            if isinstance(content.get(node), dict) and not without_retired([f"{node}.{key}="], run):
                content[node].pop(key, None)
    # Last, so that keys that an option sets outside its node, a batch size, do not override those of the run.
    defaults: list[Any] = [{"hydra": "bmx"}, *({word.key: None} for word in chosen), "_self_"]
    ConfigStore.instance().store(_ROOT, OmegaConf.create({"defaults": defaults, **content}))
    return _ROOT


def _read(file: Path) -> Any:
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader=Loader)
    except (OSError, yaml.YAMLError):
        return None
