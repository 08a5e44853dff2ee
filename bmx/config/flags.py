"""Command-line flags of a verb, and the parser that splits a command line into flags and overrides."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from bmx.config.suggestions import either, near, suggestion
from bmx.errors import UsageError


class Flag(NamedTuple):
    """A command-line flag: its names, its value, and a line of help."""

    name: str
    short: str
    help: str
    takes: str = ""
    """Name of the value in the help; empty if the flag takes none."""
    choices: tuple[str, ...] = ()
    optional: bool = False
    hydra: bool = True
    """Whether it is passed on to Hydra; the others are bmx's own."""


FLAGS: tuple[Flag, ...] = (
    Flag("--help", "-h", "this page, for the words given", hydra=False),
    Flag("--cfg", "-c", "print the composed configuration and stop", "WHAT", ("job", "hydra", "all")),
    Flag("--package", "-p", "with --cfg: print this part only, as in -p optim", "KEY"),
    Flag("--resolve", "", "with --cfg: fill in the ${...}"),
    Flag("--multirun", "-m", "run every combination of the comma-separated values"),
    Flag("--run", "-r", "run one job (the default)"),
    Flag("--config-dir", "-cd", "one more folder of groups, searched after bmx's own", "DIR"),
    Flag("--config-name", "-cn", "another root file than the verb's", "NAME"),
    Flag("--config-path", "-cp", "another folder than bmx's own conf", "DIR"),
    Flag(
        "--info",
        "-i",
        "how the configuration came about",
        "WHAT",
        ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
        optional=True,
    ),
    Flag("--hydra-help", "", "Hydra's own help"),
    Flag("--debug", "", "show the traceback of an error", hydra=False),
)

BY_NAME = {name: flag for flag in FLAGS for name in (flag.name, flag.short) if name}
"""Each flag by its long and short names."""
_PAGES = ("--cfg", "--info", "--hydra-help", "--help")
_MODES = ("--cfg", "--info", "--multirun", "--run", "--hydra-help")


class Command(NamedTuple):
    """A parsed command line of a verb: ``flags`` maps a flag's long name to its value, ``words`` are the overrides."""

    verb: str
    flags: dict[str, str]
    words: list[str]

    def on(self, flag: str) -> bool:
        """Whether the flag was given."""
        return flag in self.flags

    @property
    def runs(self) -> bool:
        """Whether jobs are run, rather than help or a configuration printed."""
        return not any(self.on(flag) for flag in _PAGES)

    def for_hydra(self) -> list[str]:
        """The arguments for Hydra: flags first, since its parser does not take them between overrides."""
        known = [flag for flag in FLAGS if flag.hydra and self.on(flag.name)]
        return [f"{f.name}={self.flags[f.name]}" if f.takes else f.name for f in known] + self.words

    def text(self) -> str:
        """The command as one line, cut to a length that fits an error message."""
        line = " ".join(["bmx", self.verb, *self.for_hydra()])
        return line if len(line) <= 100 else line[:97] + "..."


def runs_jobs(arguments: list[str]) -> bool:
    """Whether the arguments of a verb request jobs, rather than help or printed configuration; they may be invalid."""
    named = [BY_NAME.get(argument.partition("=")[0]) for argument in arguments if argument.startswith("-")]
    return not any(flag is not None and flag.name in _PAGES for flag in named)


def parse(verb: str, arguments: list[str], implied: tuple[str, ...] = ()) -> Command:
    """Splits the arguments of a verb into flags and overrides; flags may stand anywhere.

    Raises:
        UsageError: an unknown flag, an invalid value of a flag, an override without a value, or conflicting modes.
    """
    flags: dict[str, str] = {}
    words: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("-"):
            words.append(_word(verb, argument))
            continue
        name, equals, value = argument.partition("=")
        where = f"bmx {verb} {argument}"
        flag = BY_NAME.get(name)
        if flag is None:
            raise UsageError(f"no flag '{name}'", where, suggestion(name, [known.name for known in FLAGS]))
        if not flag.takes and equals:
            raise UsageError(f"{name} takes no value", where, f"write {name}")
        if flag.takes and not equals:
            value = _next_value(verb, flag, rest)
        if flag.choices and value not in flag.choices:
            where = f"bmx {verb} {flag.name} {value}"
            raise UsageError(f"{flag.name} does not know '{value}'", where, suggestion(value, flag.choices))
        flags[flag.name] = value
    if not any(mode in flags for mode in ("--help", *_MODES)):
        flags.update(dict.fromkeys(implied, ""))
    return _consistent(Command(verb, flags, words))


def _word(verb: str, word: str) -> str:
    key, equals, value = word.partition("=")
    if equals and not value and not key.startswith("~"):
        key = key.lstrip("+")
        raise UsageError(f"{key} has no value", f"bmx {verb} {word}", f"write {key}=VALUE{_such_as(verb, key)}")
    return word


def _such_as(verb: str, key: str) -> str:
    """An example value of the key, and null where that is accepted."""
    from bmx.config import search_path
    from bmx.config.schema import schema
    from bmx.config.verbs import VERBS

    try:
        declared = schema(VERBS[verb].config, None, (*search_path.user_dirs(), search_path.conf_dir())).declared(key)
    except UsageError:  # an invalid configuration file, which composing reports
        return ""
    if declared is None:
        return ""
    return f", such as {key}={declared.example}" + (f", or {key}=null for none" if declared.nullable else "")


def _next_value(verb: str, flag: Flag, rest: list[str]) -> str:
    if flag.optional:
        given = bool(rest) and "=" not in rest[0] and not rest[0].startswith(("-", "~"))
        return rest.pop(0) if given else flag.choices[0]
    if not rest or (rest[0].startswith("-") and rest[0] != "-"):
        choose = f"choose one of: {', '.join(flag.choices)}" if flag.choices else f"write {flag.name} {flag.takes}"
        raise UsageError(f"{flag.name} has no value", f"bmx {verb} {flag.name}", choose)
    return rest.pop(0)


def _consistent(command: Command) -> Command:
    modes = [mode for mode in _MODES if command.on(mode)]
    if len(modes) > 1:
        raise UsageError(f"{' and '.join(modes)} exclude each other", command.text(), f"keep one, such as {modes[0]}")
    for flag in ("--resolve", "--package"):
        if command.on(flag) and not command.on("--cfg") and not command.on("--help"):
            raise UsageError(f"{flag} says how --cfg prints", command.text(), f"add --cfg job, or leave {flag} out")
    for flag in ("--config-dir", "--config-path"):
        folder = command.flags.get(flag)
        if folder is not None and not Path(folder).is_dir():
            parent = Path(folder).parent
            fix = either(str(parent / name) for name in near(Path(folder).name, _folders(parent)))
            raise UsageError(f"no folder '{folder}'", f"{flag} {folder}", fix or "name a folder that exists")
    if "--config-path" in command.flags:  # Hydra takes a relative one from the program's own folder
        command.flags["--config-path"] = str(Path(command.flags["--config-path"]).resolve())
    return command


def _folders(parent: Path) -> list[str]:
    try:
        return [entry.name for entry in parent.iterdir() if entry.is_dir()]
    except OSError:
        return []
