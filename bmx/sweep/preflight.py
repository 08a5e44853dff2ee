"""Checks the jobs of a sweep before the first one starts, and reports every error at once."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bmx.config.checked import handed_on
from bmx.errors import BmxError, UsageError
from bmx.sweep.config_hash import content, digest
from bmx.sweep.job import Job
from bmx.sweep.workers.child import Spec
from bmx.sweep.workers.processes import Starter
from bmx.targets.blame import described, user_line

PATIENCE = 20.0
"""Seconds after which the rest is left to each job's own check."""
# Values of these do not affect compatibility: each is checked once, not in every combination.
_INDEPENDENT = ("lr", "seed", "optim", "regularization")
_SHOWN = 12


@dataclass(frozen=True)
class Problem:
    """Why a job cannot run.

    Attributes:
        label: the swept values.
        error: the error, its place and its remedy.
        point: the swept values by key.
    """

    label: str
    error: UsageError
    point: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """The result of the check.

    Attributes:
        problems: the jobs that cannot run.
        checked: how many jobs were checked.
        chooses_by: the metric for ``objective=auto``; None if the verb does not define one.
    """

    problems: list[Problem] = field(default_factory=list)
    checked: int = 0
    chooses_by: str | None = None


class CannotRun(UsageError):
    """Some jobs of a sweep cannot run; nothing was started and nothing was written."""

    def __init__(self, problems: Sequence[Problem], of: int) -> None:
        first = problems[0].error
        super().__init__(f"{len(problems)} of {of} choices cannot run: {first.what}", first.where, first.fix)
        self.problems = problems
        self.of = of

    def lines(self) -> list[str]:
        if len(self.problems) == 1 and self.of == 1:
            return self.problems[0].error.lines()
        found = [
            f"bmx: {len(self.problems)} of the {self.of} choices that were checked cannot run; nothing was started"
        ]
        told: dict[tuple[str, str], list[str]] = {}
        for problem in self.problems:
            told.setdefault((problem.error.what, problem.error.fix), []).append(problem.label)
        for (what, fix), labels in list(told.items())[:_SHOWN]:
            more = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
            found += [f"  {'; '.join(labels[:3])}{more}", f"    {what}", *([f"    do: {fix}"] if fix else [])]
        if len(told) > _SHOWN:
            found.append(f"  and {len(told) - _SHOWN} more mistakes")
        return found


def representatives(jobs: Iterable[tuple[Job, DictConfig]]) -> list[tuple[Job, DictConfig]]:
    """A subset of the jobs that covers every value, and every combination that matters.

    Seeds, rates and penalties are covered once each; models, data and batch sizes in every combination.
    """
    found: list[tuple[Job, DictConfig]] = []
    structures: set[str] = set()
    values: set[tuple[str, str]] = set()
    for job, config in jobs:
        plain = content(config)
        target = (plain.get("optim") or {}).get("_target_") if isinstance(plain.get("optim"), dict) else None
        structure = digest([{key: plain[key] for key in plain if key not in _INDEPENDENT}, target])
        pairs = set(job.point.items())
        if structure not in structures or not pairs <= values:
            found.append((job, config))
        structures.add(structure)
        values |= pairs
    return found


def check(starter: Starter, target: str, jobs: Sequence[tuple[Job, DictConfig]], threads: int = 1) -> Report:
    """Runs a verb's own check on every configuration, in one process that loads each dataset once.

    Args:
        starter: starts the process.
        target: ``module:function`` of the check.
        jobs: the jobs with their configurations.
        threads: CPU threads.
    """
    if not target or not jobs:
        return Report()
    with tempfile.TemporaryDirectory(prefix="bmx-preflight-") as folder:
        asked, told = Path(folder) / "asked.json", Path(folder) / "told.json"
        asked.write_text(json.dumps([OmegaConf.to_container(c, resolve=True) for _, c in jobs], default=str))
        spec: Spec = {
            "call": "bmx.sweep.preflight:answer",
            "arguments": [target, str(asked), str(told)],
            "log": str(Path(folder) / "log"),
            "env": {},
            "threads": threads,
        }
        process = starter.start(spec)
        while process.code is None:
            starter.wait(0.5)
        if not told.exists():
            log = Path(folder, "log")
            last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
            raise BmxError("the configurations could not be checked", " ".join(last), "run one of them: bmx train")
        answer = json.loads(told.read_text())
    problems = [
        Problem(jobs[index][0].label, UsageError(what, where, fix), jobs[index][0].point)
        for index, what, where, fix in answer["problems"]
    ]
    return Report(problems, int(answer["checked"]), answer["chooses_by"])


def answer(target: str, asked: str, told: str) -> int:
    """The child process of :func:`check`."""
    from bmx.engine.build import sources_kept

    module_name, _, name = target.partition(":")
    module = import_module(module_name)
    verb_check: Callable[[DictConfig], Any] = getattr(module, name)
    says = getattr(module, "chooses_by", None)
    problems: list[list[Any]] = []
    chooses_by, checked, began = None, 0, time.monotonic()
    with sources_kept():
        for index, plain in enumerate(json.loads(Path(asked).read_text())):
            if time.monotonic() - began > PATIENCE:
                break
            config = OmegaConf.create(plain)
            OmegaConf.set_struct(config, True)
            checked += 1
            try:
                found = verb_check(config)
                if says and not chooses_by:
                    chooses_by = says(config, **handed_on(found))
            except BmxError as error:
                problems.append([index, error.what, error.where, error.fix])
            except Exception as error:
                problems.append([index, f"checking failed: {described(error)}", str(user_line(error) or ""), ""])
    Path(told).write_text(json.dumps({"problems": problems, "checked": checked, "chooses_by": chooses_by}))
    return 0
