"""Runs a verb through ``hydra.main`` and maps its outcome to an exit code."""

from __future__ import annotations

import io
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bmx.config import flags
from bmx.config.as_typed import retell
from bmx.config.explain import explain
from bmx.config.foreign_syntax import refuse_habits
from bmx.config.inherited_config import inherited_words
from bmx.config.outputs_folder import outputs_folder
from bmx.config.overrides import rewrite_words, write_switches
from bmx.config.request import Asked, asked_line
from bmx.config.reserved_words import refuse_broken
from bmx.config.resume import KEY as RESUME
from bmx.config.resume import expand
from bmx.config.sweep_options import refuse_sweep_words
from bmx.config.verbs import VERBS
from bmx.errors import BmxError, UsageError, no_room
from bmx.runs import stop_signals
from bmx.runs.copies import refuse_copies
from bmx.runs.report import numbers
from bmx.runs.report.foot import read_by_programs
from bmx.targets.blame import described, user_line

if TYPE_CHECKING:
    from bmx.config.invocation import Invocation

INTERRUPTED = 130


def launch(name: str, arguments: list[str], debug: bool = False) -> int:
    """Runs a composed verb with its arguments; returns the exit code.

    Raises:
        UsageError: the command is wrong; nothing has been written then.
    """
    verb = VERBS[name]
    refuse_habits(name, arguments)
    command = flags.parse(name, write_switches(arguments, verb.switches), verb.flags)

    if not command.runs and not command.on("--help"):
        read_by_programs()

    from bmx.cli.process_state import restored
    from bmx.config.search_path import extend_sys_path

    with restored():
        given = command.flags.get("--config-dir")  # that of a resumed run does not count as the user's own folder
        if verb.resumes:
            command = expand(command)
        typed = command.words
        words, read = list(typed), dict(command.flags)
        without = (RESUME, *verb.named_runs)
        outputs = lambda: outputs_folder(name, words, read, without)  # noqa: E731
        written = rewrite_words(words, verb, command.on("--multirun"), outputs)
        extend_sys_path(given)
        command = command._replace(words=[*inherited_words(name, written, command.flags), *written])
        try:
            if command.runs:
                refuse_copies()
                refuse_sweep_words(name, written, command.on("--multirun"))
            if command.on("--help"):
                from bmx.cli.help import page

                print(page(command))
                return 0
            refuse_broken(command.words)
            return _hydra(command, debug)
        except BmxError as error:
            retell(error, typed, written)
            raise


def _hydra(command: flags.Command, debug: bool) -> int:
    from bmx.cli.callback import Answered, Stop
    from bmx.config.invocation import Invocation

    config = command.flags.get("--config-name") or VERBS[command.verb].config
    asked = Asked(command.verb, config, tuple(command.words), command.on("--multirun"))
    folders = (command.flags.get("--config-dir"), command.flags.get("--config-path"))
    invocation = Invocation(asked, *folders, debug, os.getpid(), tuple(sys.argv))
    said = io.StringIO()
    stop_signals.forget()
    try:
        _call_hydra(command, invocation, said)
    except Stop as stop:
        raise _as_told(stop.error, asked) from stop.error
    except Answered:
        return 0
    except SystemExit as end:
        if end.code:
            raise _no_package(command, invocation, said) from None
    except KeyboardInterrupt:
        _say_interrupted(f"; {numbers.counted(invocation.codes.count(0), 'job')} done" if invocation.sweeps else "")
        return INTERRUPTED
    except Exception as error:
        return _after(error, invocation)
    finally:
        if invocation.plan is not None:
            invocation.plan.close()
    return _exit_code(invocation)


def _call_hydra(command: flags.Command, invocation: Invocation, said: io.StringIO) -> None:
    import hydra

    from bmx.cli.job import make_task
    from bmx.cli.process_state import hydra_raises, own_hydra_config, stderr_into
    from bmx.config.invocation import running
    from bmx.config.search_path import conf_dir, register, version_base

    register()
    decorate = hydra.main(str(conf_dir()), VERBS[command.verb].config, version_base())
    sys.argv = [sys.argv[0] if sys.argv else "bmx", *command.for_hydra()]
    # `--cfg job -p KEY` prints a line and exits where there is no such key.
    quietly = stderr_into(said if command.on("--package") else None)
    with running(invocation), hydra_raises(), own_hydra_config(), quietly:
        decorate(make_task(invocation))()


def _no_package(command: flags.Command, invocation: Invocation, said: io.StringIO) -> UsageError:
    from bmx.config.override_errors import known_keys
    from bmx.config.search_path import make_loader
    from bmx.config.suggestions import either, near

    package = command.flags.get("--package", "")
    what = f"no key '{package}' to print" if package else said.getvalue().strip() or "Hydra refuses the arguments"
    loader = make_loader(command.verb, invocation.config_dir, invocation.config_path)
    fix = either(near(package, known_keys(invocation.asked, loader)), "-p {}")
    return UsageError(what, command.text(), fix or f"`bmx {command.verb} --help` lists every key")


def _after(error: Exception, invocation: Invocation) -> int:
    """Classifies an exception from Hydra: a job that failed elsewhere, a run that broke, or a wrong command."""
    from bmx.cli.job import JobError
    from bmx.config.search_path import make_loader

    asked = invocation.asked
    if isinstance(error, JobError):
        print(f"bmx: {error}", file=sys.stderr)
        return 1
    full = no_room(error, invocation.run_dir or invocation.sweep_dir or "")
    if full is not None:
        if not invocation.codes:  # no room for Hydra's own records: nothing has been run
            _remove_unused(invocation.run_dir or invocation.sweep_dir)
        raise full from error
    if invocation.codes or (invocation.composed and not invocation.sweeps):
        raise BmxError(f"{type(error).__name__}: {error}", asked_line(asked), "repeat with --debug") from error
    _remove_unused(invocation.sweep_dir)
    loader = make_loader(asked.verb, invocation.config_dir, invocation.config_path)
    raise explain(error, asked, loader) from error


def _say_interrupted(done: str) -> None:
    why = f"stopped: {stop_signals.LOST_READER}" if stop_signals.reader_lost else "interrupted"
    print(f"bmx: {why}{done}", file=sys.stderr)


def _exit_code(invocation: Invocation) -> int:
    failed, jobs = invocation.failed, len(invocation.codes)
    if not invocation.sweeps:
        code = max(invocation.codes, default=0)
        if code == INTERRUPTED and stop_signals.reader_lost:  # else the run has reported it
            _say_interrupted("; what was done is kept")
        return code
    if failed:
        some = ", ".join(failed[:3]) + (" ..." if len(failed) > 3 else "")
        print(f"bmx: {len(failed)} of {jobs} jobs failed: {some}", file=sys.stderr)
    return 1 if any(invocation.codes) else 0


def _as_told(error: Exception, asked: Asked) -> BmxError:
    """The error reported for an exception of a check; a bug inside a check is bmx's own, not the command's."""
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, (BmxError, OmegaConfBaseException)):
        return explain(error, asked, None)
    line = user_line(error)
    if line is not None:
        return UsageError(described(error), str(line), "mend that line")
    what = f"checking the configuration failed: {described(error)}"
    return BmxError(what, asked_line(asked), "repeat with --debug to see the traceback")


def _remove_unused(made: Path | None) -> None:
    """Removes the directory of a run that did not begin, or of a sweep whose jobs could not be composed."""
    if made is None:
        return
    shutil.rmtree(made, ignore_errors=True)
    with suppress(OSError):  # parent folders are removed only if empty
        for folder in list(made.parents)[:2]:
            folder.rmdir()
