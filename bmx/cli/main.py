"""Entry point of ``bmx VERB ...``. Imports nothing heavy, so that help and usage errors are reported at once."""

from __future__ import annotations

import os
import sys

from bmx.cli.broken_pipe import open_outlets
from bmx.config.suggestions import suggestion
from bmx.errors import BmxError, UsageError, no_room
from bmx.runs.report.foot import FOOT, Voice, read_by_programs

INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns 0 done, 1 the run failed, 2 the command was wrong, 130 interrupted.

    Args:
        argv: the arguments after the program's name; those of this process if None.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        return _dispatch([argument for argument in arguments if argument != "--debug"], debug)
    except BmxError as error:
        if debug:
            import traceback

            traceback.print_exception(error)
        print("\n".join(error.lines()), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("bmx: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        return _own_mistake(error, debug)


def run() -> None:
    """The console script: ``main`` on this process's arguments, then exits with its code."""
    open_outlets()
    FOOT.talks = True
    try:
        code = main()
        FOOT.clear()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, Voice):
                stream.end()
            stream.flush()
    except BrokenPipeError:
        # The reader has gone (`bmx train --help | head`): exit without a second error at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _dispatch(arguments: list[str], debug: bool) -> int:
    from bmx.config.verbs import VERBS

    if not arguments or arguments[0] in ("-h", "--help"):
        from bmx.cli.usage import usage

        print(usage())
        return 0
    verb, rest = arguments[0], arguments[1:]
    if verb == "--version" or "--version" in rest:
        from bmx import __version__

        print(f"bmx {__version__}")
        return 0
    if verb == "help":
        return _dispatch([*rest, "--help"], debug)
    if verb in ("_complete", "completion"):
        read_by_programs()
    if verb == "_complete":
        from bmx.verbs.completion.command import answer

        return answer()
    if verb == "_rank":
        from bmx.cli.rank import run as run_rank

        return run_rank(*rest)
    if verb not in VERBS:
        raise _no_verb(verb, rest)
    if VERBS[verb].config:
        from bmx.config.flags import runs_jobs

        if runs_jobs(rest):
            FOOT.say("reading the configuration")
        from bmx.cli.hydra_app import launch

        return launch(verb, rest, debug)
    if "--help" in rest or "-h" in rest:
        from bmx.cli.usage import command_usage

        print(command_usage(verb))
        return 0
    from bmx.targets.entry_point import locate

    return int(locate(VERBS[verb].target)(rest))


def _own_mistake(error: Exception, debug: bool) -> int:
    """Reports an unforeseen exception, an error of bmx itself."""
    if debug:
        import traceback

        traceback.print_exception(error)
    full = no_room(error, str(getattr(error, "filename", None) or ""))
    if full is not None:
        print("\n".join(full.lines()), file=sys.stderr)
        return full.exit_code
    hint = "" if debug else "\n  do:    repeat with --debug to see the traceback"
    print(f"bmx: {type(error).__name__}: {error}{hint}", file=sys.stderr)
    return 1


def _no_verb(verb: str, rest: list[str]) -> UsageError:
    from bmx.config.verbs import VERBS

    where = " ".join(["bmx", verb, *rest])
    if "=" in verb or verb.startswith("-"):
        known = next((word for word in rest if word in VERBS), "train")
        others = " ".join([verb, *(word for word in rest if word != known)])
        return UsageError(f"'{verb}' is not a verb; the verb comes first", where, f"write bmx {known} {others}")
    return UsageError(f"no verb '{verb}'", where, suggestion(verb, VERBS))
