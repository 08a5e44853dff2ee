"""Finds the override that Hydra rejected and suggests the nearest valid one."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from bmx.config.declared import schema_for
from bmx.config.deletions import root_choices, wrong_deletion
from bmx.config.foreign_syntax import has_key, meant_by, takes_group, with_value
from bmx.config.key_synonyms import ELSEWHERE
from bmx.config.keys import keys
from bmx.config.request import Asked
from bmx.config.suggestions import either, suggestion
from bmx.config.validation import OPTIONAL, unknown_key
from bmx.config.value_kinds import List
from bmx.config.verbs import VERBS
from bmx.errors import UsageError
from bmx.extras import LAUNCHERS, install

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig


# Values that request no option of a group.
_NONE = ("none", "off", "no", "false", "nothing", "null")
_TORCHVISION = re.compile(
    r"(wide_)?resnet\d+(_2)?|resnext\d+_\d+x\d+d|vgg\d+(_bn)?|alexnet|densenet\d+|efficientnet_(b\d|v2_[sml])"
    r"|mobilenet_v(2|3_(small|large))|shufflenet_v2_x\d_\d|squeezenet1_[01]|googlenet|inception_v3|mnasnet\d_\d+"
    r"|regnet_[xy]_\w+|convnext_(tiny|small|base|large)|swin_(v2_)?[tsb]|maxvit_t|vit_[blh]_\d+"
)


def find_wrong_word(asked: Asked, loader: ConfigLoader) -> UsageError | None:
    """The error of the first override with invalid syntax, or unknown group, option or key; None if each is valid."""
    parsed: list[Override] = []
    several: Override | None = None
    for word in asked.words:
        found = _parse(word, loader)
        if isinstance(found, UsageError):
            return _bare_word(word, loader) or found
        if found.is_sweep_override() and not asked.multirun:
            several = several or found
        parsed.append(found)
    groups = [override for override in parsed if is_group_choice(override, loader)]
    chosen = _choices(asked, loader)
    for override in groups:
        wrong = _wrong_choice(override, asked, chosen, loader)
        if wrong:
            return wrong
    config = _composed(asked, [override for override in groups if not override.is_sweep_override()], loader)
    if config is None:
        return _several_values(several, asked, loader) if several else None
    known = list(dict.fromkeys([*keys(config), *chosen]))
    for override in parsed:
        wrong = None if override in groups else _wrong_key(override, asked, known, config)
        if wrong is None and override.is_delete():
            wrong = wrong_deletion(str(override.input_line), asked, loader)
        if wrong:
            return wrong
    # Reported last: a mistyped key is no better with -m.
    return _several_values(several, asked, loader, config) if several else None


def is_group_choice(override: Override, loader: ConfigLoader) -> bool:
    """Whether an override chooses from a group, rather than sets a key."""
    repository: Any = getattr(loader, "repository")  # noqa: B009  (not in the loader's abstract class)
    return bool(repository.group_exists(override.key_or_group)) and not isinstance(override.value(), dict)


def known_keys(asked: Asked, loader: ConfigLoader) -> list[str]:
    """Every dotted key of the verb's configuration under the chosen options, then every group."""
    groups = []
    for word in asked.words:
        found = _parse(word, loader)
        if not isinstance(found, UsageError) and is_group_choice(found, loader) and not found.is_sweep_override():
            groups.append(found)
    config = _composed(asked, groups, loader)
    return [*(keys(config) if config is not None else []), *_choices(asked, loader)]


def _parse(word: str, loader: ConfigLoader) -> Override | UsageError:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create(config_loader=loader).parse_overrides([word])[0]
    except HydraException as error:
        if "=" not in word:
            return UsageError(f"'{word}' has no value", f"the argument '{word}'", f"write {word}=VALUE")
        reason = next((line for line in str(error).splitlines() if line.strip()), "not a value")
        key, _, value = word.partition("=")
        fix = f"quote what is not a plain value: {key}=\"'{value}'\"; a list is [1,2], several values are 1,2"
        return UsageError(f"cannot read the value of {key}: {reason}", f"the argument '{word}'", fix)


def _bare_word(word: str, loader: ConfigLoader) -> UsageError | None:
    """``bmx train lenet5``: an option without its group."""
    if "=" in word:
        return None
    holders = [group for group in groups(loader) if word in loader.get_group_options(group)]
    if not holders:
        return None
    return UsageError(f"'{word}' says no key", f"the argument '{word}'", either(holders, f"{{}}={word}"))


def _several_values(
    override: Override, asked: Asked, loader: ConfigLoader, config: DictConfig | None = None
) -> UsageError:
    word, key = str(override.input_line), override.get_key_element().lstrip("+~")
    fix = "add -m to run each of them"
    if _takes_list(override, asked, loader, config):
        fix += f", or write {key}=[{word.partition('=')[2]}] for a list"
    return UsageError(f"{key} has several values", f"the argument '{word}'", fix)


def _takes_list(override: Override, asked: Asked, loader: ConfigLoader, config: DictConfig | None) -> bool:
    if is_group_choice(override, loader):  # these are combined; several values of another group replace each other
        return override.key_or_group in ("logger", "metrics")
    declared = schema_for(asked, loader).declared(override.key_or_group, config)
    return declared is None or any(isinstance(kind, List) for kind in declared.kinds)


def groups(loader: ConfigLoader, parent: str = "") -> list[str]:
    """All config groups, without Hydra's own."""
    from hydra.core.object_type import ObjectType

    found = []
    for name in loader.list_groups(parent):
        group = f"{parent}/{name}" if parent else name
        if group in ("hydra", "space") or name.startswith(("_", ".")):
            continue
        if loader.get_group_options(group, ObjectType.CONFIG):
            found.append(group)
        found.extend(groups(loader, group))
    return sorted(found)


def _choices(asked: Asked, loader: ConfigLoader) -> dict[str, Any]:
    """The groups in the verb's defaults list with their choices; Hydra's own too."""
    from hydra.types import RunMode

    try:
        defaults = loader.compute_defaults_list(asked.config, [], RunMode.MULTIRUN)
    except Exception:  # an invalid configuration file, not an override
        return {}
    return dict(defaults.overrides.known_choices)


def _wrong_choice(override: Override, asked: Asked, chosen: dict[str, Any], loader: ConfigLoader) -> UsageError | None:
    group, key, where = (
        override.key_or_group,
        override.get_key_element().lstrip("+~"),
        f"the argument '{override.input_line}'",
    )
    if not override.is_delete():
        if override.value() is None or (override.is_discrete_sweep() and "null" in _values(override)):
            usual = root_choices(asked.config, loader).get(key)
            fix = f"write {key}={usual}" if usual else "leave null out, and run without the group by itself"
            return UsageError(f"{key} cannot be null{' among others' if override.value() else ''}", where, fix)
        repository: Any = getattr(loader, "repository")  # noqa: B009
        for word in _values(override):
            if repository.config_exists(f"{group}/{word}"):
                continue
            fix = _extra(group, word) or _of_torchvision(key, word) or _nothing(key, word, asked, loader)
            fix = fix or suggestion(word, loader.get_group_options(group), f"{key}={{}}")
            return UsageError(f"no word '{word}' in the group '{group}'", where, fix)
    if not override.is_add() and chosen and key not in chosen:
        same = [name for name in chosen if name.partition("@")[0] == group]
        own = ", ".join(name for name in chosen if not name.startswith("hydra"))
        fix = either(same, "{}=") or _who_takes(key, str(override.input_line), asked) or f"its groups are: {own}"
        return UsageError(f"bmx {asked.verb} takes no {key}=", where, fix)
    return None


def _who_takes(key: str, word: str, asked: Asked) -> str:
    """Names the verbs that have an option's group where this one does not; empty for none."""
    group, _, rest = key.partition("/")
    if group == "space":
        chosen = f"{rest}={word.partition('=')[2]}"
        return f"leave it out, or search what it says: bmx sweep sweeper=tpe space={rest} {chosen}"
    takers = [name for name, verb in VERBS.items() if verb.config and name != asked.verb and takes_group(name, key)]
    return _left_to(takers)


def _left_to(verbs: list[str]) -> str:
    """Advice for an override that other verbs have; empty for no verb."""
    shown = [f"`bmx {name}`" for name in verbs[:3]]
    them = f"{', '.join(shown[:-1])} and {shown[-1]} have it" if len(shown) > 1 else f"{''.join(shown)} has it"
    return f"leave it out; {them}" if verbs else ""


def _extra(group: str, word: str) -> str:
    """How to install a launcher of one of bmx's extras; empty for any other option."""
    return install(LAUNCHERS[word]) if group == "hydra/launcher" and word in LAUNCHERS else ""


def _of_torchvision(key: str, word: str) -> str:
    """How to choose a torchvision model; empty for any other name."""
    is_one = key == "model" and _TORCHVISION.fullmatch(word)
    return f"write model=torchvision model.name={word}" if is_one else ""


def _nothing(key: str, word: str, asked: Asked, loader: ConfigLoader) -> str:
    """How to leave a group empty, where that is allowed; empty for any other value."""
    usual = root_choices(asked.config, loader)
    may_be_empty = key in OPTIONAL or (key in usual and usual[key] is None)
    named = loader.get_group_options(key)
    return f"write {key}=null" if may_be_empty and word in _NONE and not set(named) & set(_NONE) else ""


def _values(override: Override) -> list[str]:
    if override.is_sweep_override():
        return list(override.sweep_string_iterator()) if override.is_discrete_sweep() else []
    value = override.value()
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _composed(asked: Asked, choices: list[Override], loader: ConfigLoader) -> DictConfig | None:
    from hydra.types import RunMode

    try:
        words = [str(override.input_line) for override in choices]
        return loader.load_configuration(asked.config, words, RunMode.MULTIRUN)
    except Exception:  # an invalid configuration file, not an override
        return None


def _wrong_key(override: Override, asked: Asked, known: list[str], config: DictConfig) -> UsageError | None:
    key, where = override.key_or_group, f"the argument '{override.input_line}'"
    if key.startswith("hydra."):
        known = [f"hydra.{name}" for name in keys(config.hydra)]
    if override.is_force_add():
        return None
    if override.is_add():
        there = key in known and not isinstance(override.value(), (dict, list)) and not _is_null(config, key)
        fix = f"write {str(override.input_line).lstrip('+')} without the +"
        return UsageError(f"{key} is there already", where, fix) if there else None
    if key in known or "[" in key or _is_list(config, key.rpartition(".")[0]):
        return None
    value = str(override.input_line).partition("=")[2] or "VALUE"
    meant = "" if override.is_delete() else meant_by(key, asked.verb)
    if meant and meant in known:
        others = (with_value(meant, value) if word == override.input_line else word for word in asked.words)
        fix = f"write {shlex.join(['bmx', asked.verb, *others])}"
        return UsageError(f"bmx calls '{key}' {meant}", where, fix)
    what, fix = unknown_key(key, config, schema_for(asked), [*known, *VERBS[asked.verb].aliases], value)
    if key not in ELSEWHERE:
        fix = _left_to([name for name, verb in VERBS.items() if verb.config and has_key(name, key)]) or fix
    return UsageError(what, where, fix.replace("--help lists", f"`bmx {asked.verb} --help` lists"))


def _is_list(config: DictConfig, key: str) -> bool:
    from omegaconf import ListConfig, OmegaConf

    try:
        return bool(key) and isinstance(OmegaConf.select(config, key), ListConfig)
    except Exception:  # a value that cannot be read is no list
        return False


def _is_null(config: DictConfig, key: str) -> bool:
    from omegaconf import OmegaConf

    try:
        return OmegaConf.select(config, key) is None
    except Exception:  # a value that cannot be read is not null
        return False
