"""Runs one job of a verb and reports its outcome: lines on the terminal, the traceback in log.txt."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig

from bmx.caller_state import kept
from bmx.cli.broken_pipe import begin_run
from bmx.cli.job_output import into
from bmx.config.checked import handed_on
from bmx.config.invocation import Invocation
from bmx.config.search_path import extend_sys_path
from bmx.config.sweep_options import OWN_SWEEPERS
from bmx.errors import BmxError, Interrupted, UsageError, no_room
from bmx.files.shown import shown
from bmx.runs import utc
from bmx.runs.finding import holds_run
from bmx.sweep.job_status import LOG
from bmx.targets.blame import described, user_line
from bmx.targets.entry_point import locate

DONE, FAILED, INTERRUPTED = 0, 1, 130
_CODES = {"failed": FAILED, "interrupted": INTERRUPTED}


class JobError(Exception):
    """A job failed and has reported it; carries the failure to launchers that run jobs in other processes."""


def make_task(invocation: Invocation) -> Callable[[DictConfig], Any]:
    """The task function that Hydra calls for each job."""

    def task(cfg: DictConfig) -> Any:
        try:
            return _run(cfg, invocation)
        except JobError:
            raise
        except Exception as error:  # in the report itself: Hydra would add a line of its own
            invocation.codes.append(FAILED)
            run_dir = Path(invocation.run_dir or invocation.sweep_dir or "")
            _say(no_room(error, run_dir) or _unexpected(error, run_dir, invocation.debug), invocation.debug)
            return {"status": "failed"}

    # Hydra names the job after the last part of the task's module.
    task.__module__ = f"bmx.{invocation.asked.verb}"
    return task


def _run(cfg: DictConfig, invocation: Invocation) -> Any:
    from hydra.core.hydra_config import HydraConfig

    begin_run()
    hydra = HydraConfig.get()
    run_dir = Path(hydra.runtime.output_dir)
    in_sweep = hydra.mode is not None and hydra.mode.name == "MULTIRUN"
    sys.argv = list(invocation.argv)
    own = in_sweep and str(hydra.sweeper.get("_target_")).startswith(OWN_SWEEPERS)
    if _is_worker(invocation):
        extend_sys_path(invocation.config_dir)  # another process, perhaps on another machine, has another import path
    result, code = _attempt(cfg, run_dir, in_sweep, own, invocation)
    invocation.codes.append(code)
    if code == FAILED or code == 2:
        invocation.failed.append(shown(run_dir))
    if code == INTERRUPTED and in_sweep:
        raise KeyboardInterrupt  # the other jobs of the sweep are not started
    if code != DONE and _is_worker(invocation) and not own:
        raise JobError(f"the job in {shown(run_dir)} failed")
    if in_sweep and _is_worker(invocation):
        print(f"{shown(run_dir)}  {'done' if code == DONE else 'failed'}", flush=True)
    return result


def _is_worker(invocation: Invocation) -> bool:
    """Whether this is a process of another launcher than bmx's own, such as joblib's."""
    return os.getpid() != invocation.pid


def _attempt(cfg: DictConfig, run_dir: Path, in_sweep: bool, own: bool, invocation: Invocation) -> tuple[Any, int]:
    run = _once if own else _target
    try:
        if in_sweep:
            invocation.checked = _check_job(cfg, invocation)
        with into(run_dir / LOG) if in_sweep and _is_worker(invocation) else nullcontext():
            result = run(cfg, run_dir, invocation)
    except BmxError as error:
        if own and isinstance(error, UsageError):
            from bmx.sweep.job_status import set_failed

            set_failed(run_dir, error.what, refused=True)
        _say(error, invocation.debug)
        _log(run_dir, error, with_traceback=False)
        return {"status": "interrupted" if isinstance(error, Interrupted) else "failed"}, error.exit_code
    except Exception as error:
        full = no_room(error, run_dir)
        if full is not None:
            _say(full, invocation.debug)
            return {"status": "failed"}, FAILED
        _log(run_dir, error, with_traceback=True)
        _say(_unexpected(error, run_dir, invocation.debug), False)
        if invocation.debug:
            traceback.print_exception(error)
        return {"status": "failed"}, FAILED
    status = result.get("status") if isinstance(result, dict) else None
    return result, _CODES.get(str(status), DONE)


def _target(cfg: DictConfig, run_dir: Path, invocation: Invocation) -> Any:
    target = locate(invocation.verb.target)
    with kept():  # torch is loaded by now: settings that this job changes in it are not for the next
        checked, invocation.checked = invocation.checked, None
        return target(cfg, run_dir, **handed_on(checked))


def _once(cfg: DictConfig, run_dir: Path, invocation: Invocation) -> Any:
    """Runs a job of a sweep that other processes may work on too: skips it if done, resumes it from its checkpoint."""
    from omegaconf import open_dict

    from bmx.config.verbs import VERBS
    from bmx.sweep import job_status
    from bmx.sweep.workers import locks

    with locks.alone(run_dir / locks.CLAIM):
        stands = job_status.read(run_dir)
        if stands.state == "done":
            return stands.result
        verb = VERBS[invocation.verb.jobs or invocation.asked.verb]
        if verb.resumes and job_status.can_resume(run_dir):
            with open_dict(cfg):
                cfg.resume = str(run_dir)
        return _target(cfg, run_dir, invocation)


def _check_job(cfg: DictConfig, invocation: Invocation) -> Any:
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import open_dict

    from bmx.config.compose import check_values
    from bmx.config.resolve_runs import pin_runs
    from bmx.config.run_name import run_name

    pin_runs(cfg, invocation.verb)
    if "name" in cfg and cfg.name is None:
        with open_dict(cfg):
            cfg.name = run_name(cast(DictConfig, HydraConfig.instance().cfg))
    check_values(cfg, invocation.asked, None)
    if not invocation.verb.check:
        return None
    check = locate(invocation.verb.check)
    with kept():
        return check(cfg)


def _unexpected(error: Exception, run_dir: Path, debug: bool) -> BmxError:
    line, trace = user_line(error), f"the traceback is in {shown(run_dir / 'log.txt')}"
    where = trace if line is None else f"{line}; {trace}"
    return BmxError(f"the run failed: {described(error)}", where, "" if debug else "repeat with --debug to see it here")


def _say(error: BmxError, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)
    print("\n".join(error.lines()), file=sys.stderr, flush=True)


def _log(run_dir: Path, error: BaseException, with_traceback: bool) -> None:
    """Writes an error into log.txt directly: logging may have been set up anew since the run began."""
    lines = error.lines() if isinstance(error, BmxError) else []
    text = "".join(traceback.format_exception(error)) if with_traceback else "\n".join(lines) + "\n"
    if not holds_run(run_dir):  # no run was begun, so there is no log
        return
    try:
        with (run_dir / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{utc.stamp()} ERROR {text}")
    except OSError as problem:  # a full disk must not hide the first error, which has been printed by then
        if no_room(problem) is None:
            print(f"bmx: log.txt cannot be written: {problem}", file=sys.stderr)
