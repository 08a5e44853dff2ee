"""The search space: the range of each key, and conditional keys, which exist only under another choice."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any

from bmx.config.many import Composer
from bmx.errors import UsageError, did_you_mean
from bmx.sweep.grid import Words

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

SPACES = "space"
"""The folder in ``conf/`` with a file for each option: ``space/optim/sgd.yaml``."""

_TRIED = 24
"""An integer range of at most this size is tried at each value, a longer one at its ends."""


@dataclass(frozen=True)
class Dimension:
    """The range of one key.

    Attributes:
        key: the key.
        choices: its values as text, where they are listed; else ``low`` to ``high``.
        low, high: the bounds, both included.
        whole: whether it is an integer.
        step: of an integer range, or of a range of floats; None for any value between the bounds.
        log: whether it is sampled on a logarithmic scale.
        given: the choice under which this key exists: group and option.
    """

    key: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    step: float | None = None
    log: bool = False
    given: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """The key, distinguished from the same key under another choice: ``lr (optim=sgd)``."""
        return f"{self.key} ({self.given[0]}={self.given[1]})" if self.given else self.key

    def ends(self) -> list[str]:
        """Representative values: every listed one, or both bounds."""
        if self.choices:
            return list(self.choices)
        if self.whole and self.high - self.low <= _TRIED * (self.step or 1):
            return [self.text(value) for value in range(int(self.low), int(self.high) + 1, int(self.step or 1))]
        return list(dict.fromkeys([self.text(self.low), self.text(self.high)]))

    def without(self, texts: Collection[str]) -> Dimension:
        """A copy without some values; of a range only its ends can be removed, since it stays one range."""
        if self.choices:
            return replace(self, choices=tuple(choice for choice in self.choices if choice not in texts))
        left, step = [self.low, self.high], self.step or 1
        if self.whole:
            while left[0] < left[1] and self.text(left[0]) in texts:
                left[0] += step
            while left[0] < left[1] and self.text(left[1]) in texts:
                left[1] -= step
        return replace(self, low=left[0], high=left[1])

    def draw(self, random: Random) -> str:
        """A random value."""
        if self.choices:
            return random.choice(self.choices)
        if self.whole:
            return self.text(random.randrange(int(self.low), int(self.high) + 1, int(self.step or 1)))
        return self.text(random.uniform(self.low, self.high))

    def text(self, value: Any) -> str:
        """A value in override syntax; six figures distinguish any two settings."""
        if self.choices:
            return str(value)
        return str(int(value)) if self.whole else f"{float(value):.6g}"


@dataclass(frozen=True)
class Space:
    """All dimensions: the unconditional ones, and those that a choice adds."""

    dimensions: tuple[Dimension, ...]
    conditional: Mapping[tuple[str, str], tuple[Dimension, ...]] = field(default_factory=dict)

    def without(self, left_out: Mapping[str, Collection[str]]) -> Space:
        """A copy without some values of some keys."""
        kept = tuple(one.without(left_out[one.key]) if one.key in left_out else one for one in self.dimensions)
        return replace(self, dimensions=kept)

    def around(self, key: str, text: str, count: int) -> list[dict[str, str]]:
        """Random points in which one key has a given value."""
        random, found = Random(0), []
        for _ in range(count):
            point = {one.key: one.draw(random) for one in self.dimensions} | {key: text}
            found.append(point | {one.key: one.draw(random) for one in self.brought_along(point)})
        return found

    def brought_along(self, point: Mapping[str, str]) -> list[Dimension]:
        """The conditional dimensions that exist at a point."""
        return [one for choice in point.items() for one in self.conditional.get(choice, ())]


def make_space(words: Words, composer: Composer, files: Any = None) -> Space:
    """The search space of the overrides of a command line.

    Args:
        words: the overrides, split into fixed and swept ones.
        composer: finds the space files.
        files: the groups whose chosen options add their own space: a group, a list of groups, or ``all``.

    Raises:
        UsageError: nothing to search over, or an invalid space.
    """
    own = [dimension(override) for override in words.swept]
    keys = {one.key for one in own} | {word.partition("=")[0].lstrip("+~") for word in words.fixed}
    swept = {one.key: one.choices for one in own if one.choices}
    conditional, always = {}, []
    for group in _groups(files, composer):
        if group in swept:
            for word in swept[group]:
                found = _from_file(composer, group, word, keys)
                conditional[(group, word)] = tuple(found)
        else:
            chosen = _chosen(group, words, composer)
            always += [_unconditional(one) for one in _from_file(composer, group, chosen, keys)] if chosen else []
    if not own and not always:
        fix = "give some keys several values or an interval: 'lr=tag(log,interval(1e-4,1))', or space=optim"
        raise UsageError("there is nothing to search over", "bmx sweep sweeper=...", fix)
    return Space((*own, *always), conditional)


def dimension(override: Override, given: tuple[str, str] | None = None) -> Dimension:
    """The dimension of a swept override.

    Raises:
        UsageError: an empty range.
    """
    from hydra.core.override_parser.types import IntervalSweep, RangeSweep

    key, value = override.get_key_element(), override.value()
    tags: set[str] = set(getattr(value, "tags", None) or ())
    where = f"the argument '{override.input_line}'"
    if isinstance(value, IntervalSweep):
        low, high = value.start, value.end
        if low is None or high is None or not low < high:
            raise UsageError(f"the interval of {key} is empty", where, f"write {key}=interval(low,high)")
        whole = "int" in tags or (isinstance(low, int) and isinstance(high, int))
        _check_log(key, tags, low, where)
        return Dimension(key, low=float(low), high=float(high), whole=whole, log="log" in tags, given=given)
    if isinstance(value, RangeSweep):
        numbers = [float(number) for number in value.range()]
        if not numbers:
            raise UsageError(f"the range of {key} is empty", where, f"write {key}=range(start,stop)")
        whole = all(number.is_integer() for number in numbers)
        low, high, step = min(numbers), max(numbers), abs(float(value.step))
        _check_log(key, tags, low, where)
        log = "log" in tags
        return Dimension(key, low=low, high=high, whole=whole, step=None if log else step, log=log, given=given)
    texts = tuple(dict.fromkeys(override.sweep_string_iterator()))
    if not texts:
        raise UsageError("a sweep over no value", where, "name some values")
    return Dimension(key, texts, given=given)


def corners(space: Space) -> list[dict[str, str]]:
    """Points that cover every listed value and both bounds of everything else, one key at a time."""
    first = {one.key: one.ends()[0] for one in space.dimensions}
    found = [first | {one.key: end} for one in space.dimensions for end in one.ends()]
    for choice, brought in space.conditional.items():
        base = first | dict([choice]) | {one.key: one.ends()[0] for one in brought}
        found += [base | {one.key: end} for one in brought for end in one.ends()] or [base]
    return [dict(pairs) for pairs in dict.fromkeys(tuple(point.items()) for point in found)]


def _check_log(key: str, tags: set[str], low: float, where: str) -> None:
    if "log" in tags and low <= 0:
        raise UsageError(f"a logarithmic scale of {key} cannot begin at {low:g}", where, "begin above 0")


def _groups(files: Any, composer: Composer) -> list[str]:
    if files in (None, False, "none"):
        return []
    from hydra.core.object_type import ObjectType

    there = list(composer.loader.list_groups(SPACES))
    wanted = there if files in ("all", True) else [files] if isinstance(files, str) else list(files)
    for group in wanted:
        if group not in there or not composer.loader.get_group_options(f"{SPACES}/{group}", ObjectType.CONFIG):
            fix = did_you_mean(str(group), there)
            raise UsageError(f"no group '{group}' has files of search space", f"space={files}", fix)
    return [str(group) for group in wanted]


def _chosen(group: str, words: Words, composer: Composer) -> str | None:
    choices = composer.base(words.fixed).hydra.runtime.choices
    return None if choices.get(group) is None else str(choices[group])


def _from_file(composer: Composer, group: str, word: str, taken: set[str]) -> list[Dimension]:
    """The dimensions of an option's space file, if it has one, without the keys that the command line sets."""
    repository = getattr(composer.loader, "repository")  # noqa: B009  (not in the loader's abstract class)
    path = f"{SPACES}/{group}/{word}"
    if not repository.config_exists(path):
        return []
    config = repository.load_config(path).config
    found = []
    for key, text in _flat(config):
        if key in taken:
            continue
        override = composer.parse(f"{key}={text}")
        if not override.is_sweep_override():
            fix = "write interval(...), range(...), choice(...) or tag(log,interval(...))"
            raise UsageError(f"{key} has one value only: {text}", f"conf/{path}.yaml", fix)
        found.append(dimension(override, (group, word)))
    return found


def _unconditional(one: Dimension) -> Dimension:
    return replace(one, given=None)


def _flat(config: Any, prefix: str = "") -> Sequence[tuple[str, str]]:
    from omegaconf import DictConfig

    found: list[tuple[str, str]] = []
    for key, value in config.items():
        if isinstance(value, DictConfig):
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", str(value)))
    return found
