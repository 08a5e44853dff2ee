"""Inherits config choices from the runs a command names: a student gets the data its teachers were trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from bmx.config import override_grammar
from bmx.config.quoting import written
from bmx.config.retired_keys import is_retired
from bmx.config.verbs import VERBS
from bmx.errors import UsageError
from bmx.targets.standing import targets_in

# Keys by which the user has chosen, or has let a file choose.
_CHOOSES = ("experiment", "resume")
# How this run reads the samples, not what they are.
_OWN = ("_target_", "leave_out", "in_memory", "workers")


def inherited_words(name: str, words: list[str], flags: Mapping[str, str]) -> list[str]:
    """The option of a group and its fields that the named runs agree on, if the command chooses none.

    Args:
        name: the verb; its ``inherits`` says which key names the runs, and the group.
        words: the overrides of the command line, with runs written as directories.
        flags: of the command line.
    """
    keys = {override_grammar.key_of(word) for word in words if not override_grammar.taken_apart(word).is_null}
    found: list[str] = []
    for key, group in VERBS[name].inherits.items():
        chosen = group in keys or any(word.startswith(f"{group}=") for word in found)
        if chosen or keys.intersection(_CHOOSES) or "--config-name" in flags:
            continue
        given = next((word for word in reversed(words) if override_grammar.key_of(word) == key), "")
        kept = [_kept(run, group) for run in _runs(given)]
        if kept and kept[0] is not None and all(_agree(one, kept[0]) for one in kept):
            word, fields = next((one for one in kept if one is not None and one[0] is not None), kept[0])
            _refuse_brought(fields, group, keys, override_grammar.taken_apart(given).text or "")
            folder = flags.get("--config-dir")
            if word is None:
                changed = _made_by(name, group, fields, folder)
            else:
                changed = _changed(name, f"{group}={word}", group, fields, folder)
            found += [one for one in changed if override_grammar.key_of(one) not in keys]
    return found


def _agree(one: tuple[str | None, dict[str, Any]] | None, other: tuple[str | None, dict[str, Any]]) -> bool:
    """Whether two runs have the same choice; one without a recorded option may have been made with any."""
    return one is not None and one[1] == other[1] and (one[0] == other[0] or None in (one[0], other[0]))


def _refuse_brought(fields: Mapping[str, Any], group: str, typed: set[str], runs: str) -> None:
    """Rejects fields of an untrusted run that name something to call, or a folder that would be created.

    Raises:
        UsageError: such a field.
    """
    where = f"the {group} of {runs}"
    called = sorted(targets_in({key: value for key, value in fields.items() if key != "_target_"}))
    if called:
        what = f"the run names {called[0]} in a field of its {group}, where nothing is called"
        raise UsageError(what, where, f"write {group}= yourself")
    folder = fields.get("dir")
    if folder is not None and f"{group}.dir" not in typed and not Path(str(folder)).expanduser().is_dir():
        what = f"the {group} of the run were in {folder}, which is not there"
        raise UsageError(what, where, f"say where they are now: {group}.dir=FOLDER")


def _runs(word: str) -> Iterator[Path]:
    """The directories of the runs that an override names."""
    from bmx.runs.finding import find

    for item in (override_grammar.values(word) or []) if word else []:
        path = Path(item)
        if path.is_absolute() and path.exists():
            try:
                yield find(str(path), path)
            except UsageError:  # a file outside any run directory
                continue


def _kept(run: Path, group: str) -> tuple[str | None, dict[str, Any]] | None:
    """The option and the fields of a run's node; those of the run it was made from, if it has no such node.

    A run that was made from Python has no option, only the node.
    """
    from bmx.runs import result
    from bmx.runs.finding import find

    try:
        known = result.read(run)
        word, parent = (known.get("choices") or {}).get(group), known.get("parent")
        node = OmegaConf.to_container(OmegaConf.load(run / "config.yaml")).get(group)  # type: ignore[union-attr]
        if not isinstance(node, dict):
            return _kept(find(str(parent), run), group) if parent else None
    except (UsageError, OSError):
        return None
    target = str(node.get("_target_"))
    fields = {key: value for key, value in node.items() if not is_retired(group, str(key), target)}
    return None if word is None else str(word), fields


def _made_by(name: str, group: str, fields: Mapping[str, Any], folder: str | None) -> list[str]:
    """The overrides that make a node, by the option of the same class with the fewest differing fields."""
    from bmx.config.folders import conf_dir, user_dirs

    places = ([Path(folder)] if folder else []) + [*user_dirs(), conf_dir()]
    words = dict.fromkeys(
        path.stem
        for place in places
        for path in sorted((place / group).glob("*.yaml"))
        if _built_by(path, group) == fields.get("_target_")
    )
    found = (_changed(name, f"{group}={word}", group, fields, folder) for word in words)
    return min((one for one in found if one), key=len, default=[])


def _built_by(path: Path, group: str) -> Any:
    from bmx.config.yaml_comments import load

    try:
        file = load(path)
    except Exception:  # an unreadable file of the user's matches nothing; choosing it reports the error
        return None
    entry = file.entries.get(f"{group}._target_" if file.package == "_global_" else "_target_")
    return entry.value if entry is not None else None


def _changed(name: str, word: str, group: str, fields: Mapping[str, Any], folder: str | None) -> list[str]:
    """The option, and each field that differs from its defaults; nothing where there is no such option."""
    from bmx.config.raw import compose_raw

    try:
        usual = OmegaConf.to_container(compose_raw(name, [word], folder).config[group])
    except UsageError:
        return []
    assert isinstance(usual, dict)
    common = [str(key) for key in usual if key in fields and key not in _OWN]
    return [word, *(f"{group}.{key}={written(fields[key])}" for key in common if usual[key] != fields[key])]
