"""Plans a sweep of bmx's own before anything is written: overrides, space, jobs, checks, and the directory."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bmx.config.compose import check_values, hydra_config
from bmx.config.declared import check_sweeping, refuse_values, text_of
from bmx.config.experiments import listed
from bmx.config.explain import explain
from bmx.config.invocation import Invocation
from bmx.config.many import Composer
from bmx.config.no_effect import refuse_idle_in_all
from bmx.config.override_errors import find_wrong_word, is_group_choice
from bmx.config.request import Asked
from bmx.config.search_path import make_loader
from bmx.config.sweep_options import OWN_SWEEPERS
from bmx.config.verbs import VERBS
from bmx.errors import BmxError, UsageError
from bmx.runs.report import numbers
from bmx.runs.report.foot import FOOT
from bmx.sweep import directory, objective
from bmx.sweep.chosen_metrics import chosen_metrics
from bmx.sweep.find_directory import find_directory, made_before
from bmx.sweep.grid import points, take_apart
from bmx.sweep.job import Job
from bmx.sweep.plan import Plan, unique
from bmx.sweep.preflight import CannotRun, Problem, Report, check, representatives
from bmx.sweep.workers.launching import is_over, places, rules

SEARCH = f"{OWN_SWEEPERS}SearchSweeper"
LAUNCHER = "hydra_plugins.bmx_launcher.BmxLauncher"
# How many other points are tried with a value before it is considered impossible.
_ATTEMPTS = 8
# Hydra settings of the sweep, not of its jobs.
_SWEEP_ONLY = (
    "hydra.sweep",
    "hydra/sweep",
    "hydra.launcher",
    "hydra/launcher",
    "hydra.run",
    "hydra.mode",
    "hydra.output",
)


def plain(node: DictConfig) -> dict[str, Any]:
    """A node as a plain dictionary, with every ``${...}`` resolved."""
    found = OmegaConf.to_container(node, resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def is_own(config: DictConfig) -> bool:
    """Whether a sweep uses one of bmx's sweepers."""
    return str(config.hydra.sweeper.get("_target_")).startswith(OWN_SWEEPERS)


def plan_sweep(config: DictConfig, invocation: Invocation) -> None:
    """Plans and checks a sweep, then finds or creates its directory and sets ``hydra.sweep.dir``.

    Raises:
        UsageError: before anything is written; jobs that cannot run are all reported at once.
    """
    invocation.sweeps = True
    asked = invocation.asked
    loader = make_loader(asked.verb, invocation.config_dir, invocation.config_path)
    wrong = find_wrong_word(asked, loader)
    if wrong:
        raise wrong
    check_sweeping(config, asked, loader)
    settings = plain(config.hydra.sweeper)
    plan = _taken_apart(config, invocation, settings)
    invocation.plan = plan
    try:
        _check_launcher(config)
        search = str(settings.get("_target_")) == SEARCH
        before = made_before(config, plan, settings, search)
        if config.hydra.launcher.get("_target_") == LAUNCHER and before is None:
            plan.starter(config.hydra.launcher.fork)  # its imports run while the jobs are composed here
        if search:
            _plan_search(plan, invocation, settings, before)
        else:
            _plan_grid(plan, invocation, before)
        find_directory(config, plan, settings, invocation.asked)
    except BaseException:
        plan.close()
        raise
    invocation.composed = True


def _taken_apart(config: DictConfig, invocation: Invocation, settings: dict[str, Any]) -> Plan:
    asked = invocation.asked
    verb = VERBS[asked.verb].jobs or asked.verb
    root = asked.config if asked.config != VERBS[asked.verb].config else VERBS[verb].config
    composer = Composer(make_loader(verb, invocation.config_dir, invocation.config_path), root)
    typed = [str(word) for word in config.hydra.overrides.task]
    params = [f"{key}={value}" for key, value in (settings.get("params") or {}).items()]
    typed = [listed(word, composer.parse(word), root, composer.loader) for word in typed]
    words = take_apart(
        [composer.parse(word) for word in (*params, *typed)], VERBS[asked.verb].job_words, settings.get("seeds")
    )
    flags = [("--config-dir", invocation.config_dir), ("--config-path", invocation.config_path)]
    flags += [("--config-name", root if root != VERBS[verb].config else None)]
    own = chosen_metrics(composer.base(words.fixed))
    objectives, bounds = objective.parse(settings.get("objective"), own)
    return Plan(
        verb=verb,
        words=words,
        composer=composer,
        flags=tuple(f"{flag}={value}" for flag, value in flags if value),
        passed_on=tuple(
            w for w in map(str, config.hydra.overrides.hydra) if not w.lstrip("+~").startswith(_SWEEP_ONLY)
        ),
        objectives=objectives,
        bounds=bounds,
        outputs=Path(text_of("outputs", config, asked, composer.loader) or "outputs"),
        resumes=VERBS[verb].resumes,
        # Composing is three times as fast once the grammar's tables have been filled.
        modules=(VERBS[verb].target.partition(":")[0], f"bmx.config.compose:compose:{verb}"),
        command=_command(invocation),
    )


def _command(invocation: Invocation) -> str:
    import shlex

    return shlex.join(["bmx", *invocation.argv[1:]]) if invocation.argv else "bmx"


def _check_launcher(config: DictConfig) -> None:
    """Checks the launcher's settings now, not after the directory has been created."""
    if config.hydra.launcher.get("_target_") != LAUNCHER:
        return
    options = plain(config.hydra.launcher)
    rules(options)
    places(options, config)


def _plan_grid(plan: Plan, invocation: Invocation, before: Path | None) -> None:
    for override in plan.words.continuous:
        where, key = f"the argument '{override.input_line}'", override.get_key_element()
        fix = f"list the values, {key}=a,b,c, or search: sweeper=tpe (or random, gp, nsga2)"
        raise UsageError(f"{key} is an interval, which a grid cannot list", where, fix)
    loader = plan.composer.loader
    asked, base = Asked(plan.verb, plan.composer.root, plan.words.fixed), plan.composer.base(plan.words.fixed)
    for override in plan.words.listed:
        if not is_group_choice(override, loader):
            refuse_values(override, base, asked, loader)
    jobs, problems = composed(plan, plan.each_seed(points(plan.words)))
    if problems:
        raise CannotRun(problems, len(jobs) + len(problems))
    plan.jobs = unique([job for job, _ in jobs])
    if before is not None and is_over(plan, before):
        return
    _refuse_idle(plan, jobs)
    report = _preflight(plan, invocation, jobs)
    if report.problems:
        raise CannotRun(report.problems, report.checked)
    plan.objectives = _known(plan, report)


def _plan_search(plan: Plan, invocation: Invocation, settings: dict[str, Any], before: Path | None) -> None:
    from bmx.sweep.search import settings as search_settings
    from bmx.sweep.search.first_points import first_points
    from bmx.sweep.search.space import corners, make_space

    search_settings.check(settings, len(plan.objectives))
    plan.space = make_space(plan.words, plan.composer, settings.get("space"))
    if before is not None:
        over = directory.read(before)["over"]
        plan.left_out, plan.notes = over["left_out"], over["notes"]
        plan.space = plan.space.without(plan.left_out)
        if plan.objectives == [objective.AUTO]:
            plan.objectives = objective.parse(over["objectives"])[0]
        return
    seeds: tuple[int | None, ...] = plan.words.seeds[:1] or (None,)
    tried = corners(plan.space)
    jobs, problems = composed(plan, [(point, seed) for point in tried for seed in seeds])
    _refuse_idle(plan, jobs)
    report = _preflight(plan, invocation, jobs)
    problems += report.problems
    if len(problems) >= len(tried):
        raise CannotRun(problems, len(tried))
    _leave_out(plan, invocation, problems, seeds)
    plan.first = first_points(plan.space, settings.get("first") or ())
    plan.objectives = _known(plan, report)
    if plan.objectives == [objective.AUTO]:
        fix = "hold something out, data.val_size=0.1, or name what to choose by: objective=..."
        raise UsageError("there is no validation result to search by", "objective=auto", fix)


def _leave_out(plan: Plan, invocation: Invocation, problems: list[Problem], seeds: tuple[int | None, ...]) -> None:
    """Removes values from the space that cannot run with any other choice, such as a depth too great for the image.

    A value that failed once is tried with other values of the other keys. One that runs with some of them stays: the
    search learns to avoid the rest.
    """
    first = {one.key: one.ends()[0] for one in plan.space.dimensions}
    left_out: dict[str, list[str]] = {}
    for problem in problems:
        odd = [(key, text) for key, text in problem.point.items() if first.get(key, text) != text]
        for key, text in odd or list(problem.point.items()):
            if key not in first or text in left_out.get(key, []):
                continue
            points_with = plan.space.around(key, text, _ATTEMPTS)
            jobs, wrong = composed(plan, [(point, seed) for point in points_with for seed in seeds])
            report = _preflight(plan, invocation, jobs)
            if len(wrong) + len(report.problems) >= len(wrong) + report.checked:
                left_out.setdefault(key, []).append(text)
    plan.space, plan.left_out = plan.space.without(left_out), left_out
    for key, texts in left_out.items():
        reason = next(p.error.what for p in problems if p.point.get(key) == texts[0])
        plan.notes.append(f"left out of the search, since it cannot run: {key}={','.join(texts)}: {reason}")


def _known(plan: Plan, report: Report) -> list[objective.Objective]:
    if plan.objectives == [objective.AUTO] and report.chooses_by:
        return objective.parse(report.chooses_by)[0]
    return plan.objectives


def composed(plan: Plan, wanted: list[Any]) -> tuple[list[tuple[Job, DictConfig]], list[Problem]]:
    """The jobs of points and seeds with their configurations, and the problems of those that do not compose."""
    jobs: list[tuple[Job, DictConfig]] = []
    problems: list[Problem] = []
    current = None
    with ExitStack() as entered:
        for point, seed in wanted:
            words = plan.job_words(point, seed)
            asked = Asked(plan.verb, plan.composer.root, words)
            try:
                base = plan.composer.base((*words, *plan.passed_on))
                if base is not current:  # neighbours mostly have the same config choices
                    entered.close()
                    current = None
                    entered.enter_context(hydra_config(base))
                    current = base
                job, config = plan.job(point, seed)
                check_values(config, asked, plan.composer.loader)
                jobs.append((job, config))
            except Exception as error:
                told = error if isinstance(error, UsageError) else explain(error, asked, plan.composer.loader)
                problems.append(
                    Problem(Job("", words, point, seed).label, UsageError(told.what, told.where, told.fix), point)
                )
    return jobs, problems


def _refuse_idle(plan: Plan, jobs: list[tuple[Job, DictConfig]]) -> None:
    """Rejects an override without effect in any job; defaults that every job gets are not checked."""
    own = set(plan.words.defaults)
    words = ((config, [word for word in job.words if word not in own]) for job, config in jobs)
    with hydra_config(plan.composer.base(plan.words.fixed)):
        refuse_idle_in_all((config, Asked(plan.verb, plan.composer.root, tuple(typed))) for config, typed in words)


def _preflight(plan: Plan, invocation: Invocation, jobs: list[tuple[Job, DictConfig]]) -> Report:
    try:
        with hydra_config(plan.composer.base(plan.words.fixed)):
            chosen = representatives(jobs)
        FOOT.say(f"loading PyTorch and the data, to check {numbers.counted(len(chosen), 'job')}")
        return check(plan.starter(), VERBS[plan.verb].check, chosen)
    except UsageError:
        raise
    except BmxError as error:
        raise UsageError(error.what, error.where, error.fix) from error
