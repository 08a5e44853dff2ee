"""Language identification: short names in 16 European languages, character sequences from the locale data of Babel."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version

import numpy as np
import torch

from bmx.data.arrays import Arrays, Source
from bmx.data.pipeline.cache import cached_arrays
from bmx.data.spec import DataSpec
from bmx.errors import UsageError

LANGUAGES = {
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "fi": "Finnish",
    "fr": "French",
    "hu": "Hungarian",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "sv": "Swedish",
    "tr": "Turkish",
}
# Kinds of named concepts, by the names of the tables in Babel's locales.
NAMED = ("currencies", "languages", "scripts", "territories")
FOLDS = 5
PAD, UNKNOWN = 0, 1
_LONGEST = 64
# Part of the cache key: to be raised when the selection of the strings changes.
_RECIPE = 3

Concept = tuple[str, str]


def language_id(max_length: int = 40, fold: int = 0) -> Source:
    """Names of countries, languages, currencies and scripts, as they are written, as sequences of characters.

    Only names that exactly one of the 16 languages uses are included, ignoring case. No concept (such as the country
    CH) has a name in both the training and the test set, so the spelling of a language is learnt and not its words for
    things. About 10,000 training and 2,500 test names. The vocabulary is that of the training names; id 0 is padding,
    id 1 is any other character.

    Args:
        max_length: characters to which names are truncated; 99.5 % of the names have at most 40.
        fold: which fifth of the concepts is the test set, 0 to 4.

    Raises:
        UsageError: an invalid fold or length.
    """
    if fold not in range(FOLDS):
        raise UsageError(f"there is no fold {fold}", f"data.fold={fold}", f"give 0 to {FOLDS - 1}")
    if max_length < 1:
        raise UsageError(f"names of {max_length} characters", f"data.max_length={max_length}", "give 1 or more")
    arrays = cached_arrays(f"language_id-{_RECIPE}-{fold}-babel-{version('babel')}", lambda: _encode(fold))
    vocabulary = ("", "\ufffd", *arrays["symbols"].tolist())
    # In contiguous columns, so that a batch is gathered from whole rows.
    train, test = (torch.from_numpy(arrays[part][:, :max_length].copy()) for part in ("train", "test"))
    spec = DataSpec(
        "language_id",
        "tokens",
        (train.shape[1],),
        len(LANGUAGES),
        tuple(LANGUAGES.values()),
        vocab_size=len(vocabulary),
        pad_id=PAD,
        vocabulary=vocabulary,
    )
    return Source(
        Arrays(train, torch.from_numpy(arrays["train_labels"])),
        Arrays(test, torch.from_numpy(arrays["test_labels"])),
        spec,
    )


def names() -> dict[str, tuple[int, frozenset[Concept]]]:
    """Each name that one language alone uses, with the number of the language and the concepts that it names there.

    Names that differ in case alone count as one for both: "Latin" must not be tested after "latin" was learnt.
    """
    users: dict[str, set[int]] = defaultdict(set)
    concepts: dict[str, set[Concept]] = defaultdict(set)
    written: set[str] = set()
    for number, code in enumerate(LANGUAGES):
        for concept, name in _locale_names(code):
            users[name.lower()].add(number)
            concepts[name.lower()].add(concept)
            written.add(name)
    return {
        name: (min(users[name.lower()]), frozenset(concepts[name.lower()]))
        for name in sorted(written)
        if len(users[name.lower()]) == 1
    }


def fold_of(concept: Concept) -> int:
    """The fold of a concept, by a hash, so that it does not change when Babel adds names."""
    digest = hashlib.blake2b(":".join(concept).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % FOLDS


def _locale_names(code: str) -> Iterator[tuple[Concept, str]]:
    from babel import Locale  # needed only if the cache is empty

    locale = Locale(code)
    for table in NAMED:
        for key, name in getattr(locale, table).items():
            yield (table, str(key)), str(name).strip()


def _encode(fold: int) -> dict[str, np.ndarray]:
    """Token ids and labels of both parts, and the symbols of the ids from 2 on."""
    parts: dict[bool, list[tuple[str, int]]] = {False: [], True: []}
    for name, (language, concepts) in names().items():
        tested = {fold_of(concept) == fold for concept in concepts}
        # A name of several concepts in both parts belongs to neither.
        if len(tested) == 1:
            parts[tested.pop()].append((name[:_LONGEST], language))
    symbols = sorted({symbol for name, _ in parts[False] for symbol in name})
    ids = {symbol: number for number, symbol in enumerate(symbols, start=UNKNOWN + 1)}
    width = max(len(name) for rows in parts.values() for name, _ in rows)
    arrays = {"symbols": np.array(symbols)}
    for part, rows in (("train", parts[False]), ("test", parts[True])):
        tokens = np.full((len(rows), width), PAD, dtype=np.uint8 if len(ids) < 254 else np.int16)
        for row, (name, _) in zip(tokens, rows, strict=True):
            row[: len(name)] = [ids.get(symbol, UNKNOWN) for symbol in name]
        arrays[part] = tokens
        arrays[f"{part}_labels"] = np.array([language for _, language in rows], dtype=np.int64)
    return arrays
