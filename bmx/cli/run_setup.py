"""Prepares a run or sweep before anything is written: name, checks, and directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, open_dict

from bmx.caller_state import kept
from bmx.config.compose import hydra_config, job_config, settle
from bmx.config.declared import check_sweeping, refuse_values, text_of
from bmx.config.invocation import Invocation
from bmx.config.no_effect import refuse_idle, refuse_idle_in_all
from bmx.config.override_errors import find_wrong_word, is_group_choice
from bmx.config.quoting import quoted
from bmx.config.raw import Composed, compose_raw
from bmx.config.resolve_runs import pin_runs, plain_values, words_for_runs
from bmx.config.run_name import AUTO, run_name
from bmx.config.search_path import make_loader
from bmx.errors import UsageError
from bmx.runs.report.foot import FOOT
from bmx.sweep.workers.locks import CLAIM
from bmx.targets.entry_point import locate

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.override_parser.types import Override


def judge(config: DictConfig, words: tuple[str, ...]) -> None:
    """Rejects untrusted content of a resumed run; PyTorch is imported only where a run is resumed."""
    from bmx.engine.resumed_trust import judge_resumed

    judge_resumed(config, words)


def prepare_run(config: DictConfig, invocation: Invocation) -> None:
    """Names and checks one run, creates its directory, and sets ``hydra.run.dir``.

    Raises:
        UsageError: an invalid configuration, before anything is written.
    """
    from bmx.runs import directory

    given = str(config.hydra.run.dir)
    resumed = config.get("resume")
    if resumed and Path(given).resolve() != Path(str(resumed)).resolve():
        where = invocation.asked.where("resume", _loader(invocation))
        fix = f"take it out there, and write bmx {invocation.asked.verb} resume={resumed}"
        raise UsageError("a run is gone on with by a word of the command line alone", where, fix)
    check(config, invocation)
    if given == AUTO:
        run = directory.create(
            _outputs(config), invocation.asked.verb, str(config.get("name") or invocation.asked.verb)
        )
        invocation.run_dir = run
    else:
        run = directory.claim(Path(given), resume=bool(resumed))
    config.hydra.run.dir = str(run)
    invocation.composed = True


def preview(config: DictConfig, invocation: Invocation) -> bool:
    """Reports the expected cost of a run, where ``plan=true`` requests that instead of the run; whether it did.

    Raises:
        UsageError: the run could not be made.
    """
    if not (invocation.verb.preview and config.get("plan")):
        return False
    _settle(config, invocation)
    show = locate(invocation.verb.preview)
    with hydra_config(config), kept():
        show(job_config(config))
    return True


def refuse_preview(config: DictConfig, invocation: Invocation) -> None:
    """Raises UsageError where ``plan=true`` is requested for many runs at once."""
    if invocation.verb.preview and config.get("plan"):
        raise UsageError("a plan is of one run, not of a sweep", "plan=true", "leave out -m and the lists of values")


def check(config: DictConfig, invocation: Invocation) -> None:
    """All checks of a composed run before it starts, the verb's own last."""
    _settle(config, invocation)
    if not invocation.verb.check:
        return
    FOOT.say("loading PyTorch")
    check_verb = locate(invocation.verb.check)
    with hydra_config(config), kept():
        invocation.checked = check_verb(job_config(config))


def _settle(config: DictConfig, invocation: Invocation) -> None:
    settle(config, invocation.asked, _loader(invocation), judge)
    # An override of a sweep need not have an effect in each of its jobs.
    if not (Path(str(config.hydra.run.dir)) / CLAIM).exists():
        with hydra_config(config):
            refuse_idle(config, invocation.asked)


def prepare_sweep(config: DictConfig, invocation: Invocation) -> None:
    """Checks every swept value once, creates the sweep's directory, and sets ``hydra.sweep.dir``.

    Values are checked one key at a time, not in all their combinations: a mistyped one is found before the first job
    starts, in time that grows with the number of values. Each job is checked again, whole, before it starts.

    Raises:
        UsageError: an invalid value, before anything is written.
    """
    from bmx.runs import directory
    from bmx.sweep.planning import is_own, plan_sweep

    if is_own(config):
        plan_sweep(config, invocation)
        return
    invocation.sweeps = True
    loader = _loader(invocation)
    wrong = find_wrong_word(invocation.asked, loader)
    if wrong:
        raise wrong
    check_sweeping(config, invocation.asked, loader)
    swept = _swept(config, loader)
    _refuse_intervals(swept, config)
    _try_each(swept, config, invocation, loader)
    if str(config.hydra.sweep.dir) == AUTO:
        chosen = [o for o in swept if o.is_discrete_sweep() and is_group_choice(o, loader)]
        words = {o.key_or_group: list(o.sweep_string_iterator()) for o in chosen}
        name = text_of("name", config, invocation.asked, loader) or run_name(config, words)
        outputs = Path(text_of("outputs", config, invocation.asked, loader) or "outputs")
        sweep = directory.create(outputs, "sweep", name)
        invocation.sweep_dir = sweep
        config.hydra.sweep.dir = str(sweep)
        # Hydra composes each job anew from these overrides.
        with open_dict(config.hydra.overrides):
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(str(sweep))}")
    _pin_for_jobs(config, invocation)
    invocation.composed = True


def _pin_for_jobs(config: DictConfig, invocation: Invocation) -> None:
    """Pins runs that a file names, for every job: by the time the last one starts there are newer ones."""
    typed = {word.partition("=")[0].lstrip("+~") for word in invocation.asked.words}
    before = {key: config.get(key) for key in invocation.verb.named_runs if key not in typed}
    pin_runs(config, invocation.verb)
    runs = words_for_runs(plain_values(config, invocation.verb.named_runs), invocation.verb)
    with open_dict(config.hydra.overrides):
        config.hydra.overrides.task.extend([word for key, word in runs.items() if before.get(key)])


def _swept(config: DictConfig, loader: ConfigLoader) -> list[Override]:
    """The overrides with several values."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    params = config.hydra.sweeper.get("params") or {}
    words = [*(f"{key}={value}" for key, value in params.items()), *(str(word) for word in config.hydra.overrides.task)]
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(words)
    return [override for override in parsed if override.is_sweep_override()]


def _refuse_intervals(swept: list[Override], config: DictConfig) -> None:
    """Rejects intervals, which Hydra's basic sweeper cannot search and reports only once its directory exists."""
    searched = [override for override in swept if not override.is_discrete_sweep()]
    if searched and str(config.hydra.sweeper.get("_target_")).endswith(".BasicSweeper"):
        where, key = f"the argument '{searched[0].input_line}'", searched[0].get_key_element()
        fix = f"list the values, {key}=a,b,c, or choose a sweeper that searches: hydra/sweeper=tpe"
        raise UsageError(f"{key} is an interval, which the basic sweeper cannot search", where, fix)


def _try_each(swept: list[Override], config: DictConfig, invocation: Invocation, loader: ConfigLoader) -> None:
    from hydra.core.override_parser.types import Transformer

    listed = [override for override in swept if override.is_discrete_sweep()]
    firsts = {o.get_key_element(): _first(o) for o in swept}
    for override in swept:
        if not firsts[override.get_key_element()]:
            raise UsageError(
                "a sweep over no value at all", f"the argument '{override.input_line}'", "name some values"
            )
    fixed = [word for word in invocation.asked.words if word.partition("=")[0] not in firsts]
    tried: list[Composed] = []
    if not listed:
        tried.append(_try([*fixed, *(f"{k}={text}" for k, text in firsts.items())], invocation))
    for override in listed:
        key, chooses = override.get_key_element(), is_group_choice(override, loader)
        if not chooses:
            refuse_values(override, config, invocation.asked, loader)
        for number, value in enumerate(override.sweep_iterator()):
            if number == 0 or chooses:
                now = {**firsts, key: Transformer.str(value)}
                tried.append(_try([*fixed, *(f"{k}={text}" for k, text in now.items())], invocation))
    refuse_idle_in_all((one.config, one.asked) for one in tried)


def _first(override: Override) -> str:
    """A representative value: the first of a list, the middle of an interval."""
    from hydra.core.override_parser.types import IntervalSweep

    space = override.value()
    if not isinstance(space, IntervalSweep):
        return next(iter(override.sweep_string_iterator()), "")
    middle = ((space.start or 0.0) + (space.end or 0.0)) / 2
    return str(int(middle) if "int" in space.tags else middle)


def _try(words: list[str], invocation: Invocation) -> Composed:
    tried = compose_raw(
        invocation.asked.verb, words, invocation.config_dir, invocation.asked.config, invocation.config_path
    )
    settle(tried.config, tried.asked, tried.loader, judge)
    return tried


def _loader(invocation: Invocation) -> ConfigLoader:
    return make_loader(invocation.asked.verb, invocation.config_dir, invocation.config_path)


def _outputs(config: DictConfig) -> Path:
    return Path(str(config.get("outputs") or "outputs"))
