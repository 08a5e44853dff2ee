"""Expands the overrides of a command line to the points of a grid."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bmx.errors import UsageError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

SEED = "seed"


@dataclass(frozen=True)
class Words:
    """The overrides of a sweep, split into fixed and swept ones.

    Attributes:
        fixed: overrides with one value, as they were typed.
        swept: overrides with several values, parsed.
        defaults: overrides that every job gets because the command does not set their key.
        seeds: the seeds that every point is repeated with; empty for the configuration's own.
    """

    fixed: tuple[str, ...]
    swept: tuple[Override, ...]
    seeds: tuple[int, ...] = ()
    defaults: tuple[str, ...] = ()

    @property
    def listed(self) -> list[Override]:
        """The swept overrides whose values can be listed."""
        return [override for override in self.swept if override.is_discrete_sweep()]

    @property
    def continuous(self) -> list[Override]:
        """The swept overrides that are intervals."""
        return [override for override in self.swept if not override.is_discrete_sweep()]


def take_apart(parsed: Iterable[Override], defaults: Sequence[str] = (), seeds: Any = None) -> Words:
    """Splits the overrides of a command line into fixed ones, swept ones, and seeds.

    A swept ``seed`` repeats every point, as ``seeds`` does. Of two overrides of one key the last counts.

    Args:
        parsed: the overrides, parsed by Hydra.
        defaults: overrides that every job gets unless the command sets their key.
        seeds: the number of seeds, from 0 on, or a list of them; None to take them from the overrides.

    Raises:
        UsageError: both ``seed`` and ``seeds``, or a sweep over no value.
    """
    last = {override.get_key_element(): override for override in parsed}
    swept, fixed, own = [], [], {key.lstrip("+~") for key in last}
    for key, override in last.items():
        if not override.is_sweep_override():
            fixed.append(str(override.input_line))
        elif override.is_discrete_sweep() and not list(override.sweep_string_iterator()):
            raise UsageError("a sweep over no value", f"the argument '{override.input_line}'", "name some values")
        elif key != SEED:
            swept.append(override)
    repeated = _seeds(last.get(SEED), seeds)
    words = [word for word in defaults if word.partition("=")[0].lstrip("+~") not in own]
    return Words(tuple(fixed), tuple(swept), repeated, tuple(words))


def points(words: Words) -> list[dict[str, str]]:
    """Every combination of the listed values, the last key changing fastest, as Hydra orders them."""
    keys = [override.get_key_element() for override in words.listed]
    values = [list(dict.fromkeys(override.sweep_string_iterator())) for override in words.listed]
    return [dict(zip(keys, combination, strict=True)) for combination in itertools.product(*values)]


def _seeds(swept: Override | None, asked: Any) -> tuple[int, ...]:
    if asked is not None:
        if swept is not None:
            raise UsageError("seed and seeds exclude each other", f"seeds={asked}", "keep one of them")
        if isinstance(asked, int) and not isinstance(asked, bool) and asked >= 1:
            return tuple(range(asked))
        if not isinstance(asked, str | bool | int | float) and all(isinstance(seed, int) for seed in asked):
            return tuple(dict.fromkeys(asked))
        fix = "write seeds=5 for the seeds 0 to 4, or seeds=[3,7,8]"
        raise UsageError(f"seeds must be how many, or a list of seeds, not {asked!r}", f"seeds={asked}", fix)
    if swept is None or not swept.is_sweep_override():
        return ()
    if not swept.is_discrete_sweep():
        raise UsageError("seeds cannot be searched for", f"the argument '{swept.input_line}'", "write seeds=5")
    texts = list(dict.fromkeys(swept.sweep_string_iterator()))
    if not all(text.isdigit() for text in texts):
        wrong = next(text for text in texts if not text.isdigit())
        raise UsageError(f"seed must be a whole number, not '{wrong}'", f"the argument '{swept.input_line}'", "seeds=5")
    return tuple(int(text) for text in texts)
