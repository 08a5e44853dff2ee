"""Rules for overrides without effect: for each key a condition, the reason and a remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from bmx.config.engine_words import calibrated
from bmx.config.formats import format_of, formats

Settings = Callable[[str], Any]
"""Reads a configuration by dotted key; None where there is no such key."""


class Idle(NamedTuple):
    """A condition under which keys have no effect.

    Attributes:
        keys: ``stages``, or ``target.`` for everything below.
        when: the condition, on a reader of the configuration by dotted key.
        because: the reason, after "KEY has no effect: ".
        fix: overrides that would give them one; empty where none do.
        verbs: the verbs that it applies to; all if empty.
    """

    keys: tuple[str, ...]
    when: Callable[[Settings], bool]
    because: str
    fix: str
    verbs: tuple[str, ...] = ()


def _uncompressed(get: Settings) -> bool:
    return get("compression") is None


def _method(name: str) -> Callable[[Settings], bool]:
    return lambda get: str(get("compression._target_")).endswith(f".{name}")


def _of(name: str, when: Callable[[Settings], bool]) -> Callable[[Settings], bool]:
    method = _method(name)
    return lambda get: method(get) and when(get)


def _not_tuned(get: Settings) -> bool:
    epochs = get("epochs")
    return epochs == 0 and not isinstance(epochs, bool)


def _budgeted(get: Settings) -> bool:
    return any(get(f"compression.budget.{name}") is not None for name in ("params", "macs", "bytes", "latency_ms"))


def _engines(get: Settings) -> list[Any]:
    engines = get("engines")
    return list(engines) if OmegaConf.is_list(engines) else [engines]


def _graph_file(get: Settings) -> bool:
    format = format_of(str(get("run")))
    return bool(format) and not formats()[format].of_weights


_WARM_UP = Idle(
    ("scheduler.warmup_start",),
    lambda get: get("scheduler.warmup") == 0,
    "there is no warm-up",
    "scheduler.warmup=1",
)
_MOMENTUM = Idle(
    ("scheduler.min_momentum",),
    lambda get: "max_momentum" in (get("scheduler") or {}) and get("scheduler.max_momentum") is None,
    "scheduler.max_momentum=null leaves momentum alone",
    "scheduler.max_momentum=0.95",
)
_WORKERS = Idle(
    ("data.workers",),
    lambda get: get("data.in_memory") is True,
    "data.in_memory=true holds the set in memory",
    "data.in_memory=false",
)
_FITS = ("train", "distill", "compress")

_TRAIN = (
    Idle(("tuning_epochs",), _uncompressed, "nothing is compressed", "compression=low_rank"),
    Idle(
        ("compress_when",),
        lambda get: _uncompressed(get) and get("compress_when") != "after",
        "nothing is compressed",
        "compression=prune",
    ),
    Idle(
        ("tuning_epochs",),
        lambda get: get("compress_when") == "during",
        "what is compressed as it trains is not tuned afterwards",
        "compress_when=after",
        ("train",),
    ),
)
_DISTILL = (
    Idle(
        ("init_from",),
        lambda get: bool(get("student")),
        "the student is a run, whose weights it begins with",
        "",
        ("distill",),
    ),
    Idle(
        ("keep_outputs",),
        lambda get: bool(get("augmentation._target_")) or bool(get("distillation.mixup")),
        "the samples change in every epoch, so no answers can be kept",
        "keep_outputs=false",
        ("distill", "compress"),
    ),
)
_COMPRESS = (
    Idle(
        ("teacher", "keep_outputs"),
        lambda get: get("distillation") is None,
        "nothing is distilled",
        "distillation=kd",
        ("compress",),
    ),
    Idle(
        ("stages",),
        lambda get: get("compression._target_") != "pipeline",
        "only a pipeline has stages",
        "compression=pipeline",
        ("compress",),
    ),
    Idle(
        ("target.trials",),
        lambda get: all(get(f"target.{name}") is None for name in ("accuracy_drop", "bytes", "latency_ms")),
        "there is no target to try for",
        "target.accuracy_drop=0.5",
        ("compress",),
    ),
    Idle(
        ("batch_sizes", "seconds"),
        lambda get: not _engines(get),
        "nothing is timed",
        "engines=[eager]",
        ("compress",),
    ),
    Idle(
        (
            *("lr", "batch_size", "optim", "optim.", "scheduler", "scheduler.", "augmentation", "augmentation."),
            *("regularization.l1", "regularization.l2", "regularization.patience", "distillation", "distillation."),
            *("teacher", "keep_outputs", "checkpoint.", "profile", "compile", "trainer.accumulate", "logger"),
            *("trainer.clip_norm", "trainer.log_every", "trainer.callbacks", "data.workers", "logger."),
        ),
        _not_tuned,
        "without epochs nothing is trained",
        "epochs=1",
        ("compress",),
    ),
)
_METHODS = (
    Idle(
        ("compression.samples",),
        _of("LowRank", lambda get: get("compression.rule") not in (None, "kfac", "activation")),
        "this rule looks at no samples",
        "compression.rule=kfac",
    ),
    Idle(
        ("compression.samples",),
        _of("PruneStructured", lambda get: get("compression.criterion") != "taylor"),
        "this criterion looks at no samples",
        "compression.criterion=taylor",
    ),
    Idle(
        ("compression.samples",),
        _of("Quantize", lambda get: get("compression.activations") != "int8"),
        "no ranges are looked for on samples",
        "compression.activations=int8",
    ),
    Idle(
        ("compression.range",),
        _of("Quantize", lambda get: get("compression.activations") == "none"),
        "the inputs of layers stay floats",
        "compression.activations=int8 compression.weights=8",
    ),
    Idle(
        ("compression.percentile",),
        _of("Quantize", lambda get: get("compression.observer") != "percentile"),
        "the range is not found by percentile",
        "compression.observer=percentile",
    ),
    Idle(
        ("compression.group",),
        _of("Quantize", lambda get: get("compression.weights") != 4 and get("compression.mixed") is None),
        "weights of 8 bits have a step for each output, not for a group",
        "compression.weights=4 compression.activations=none",
    ),
    Idle(
        ("compression.qat",),
        _of("Quantize", _not_tuned),
        "without epochs nothing is trained",
        "epochs=1",
    ),
    Idle(
        ("compression.sparsity",),
        lambda get: get("compression.budget.params") is not None,
        "compression.budget.params takes its place",
        "",
    ),
    Idle(
        ("compression.ratio",),
        _of("PruneStructured", _budgeted),
        "the budget takes its place",
        "",
    ),
    Idle(
        ("compression.schedule", "compression.begin", "compression.end", "compression.updates"),
        _of("Prune", lambda get: get("compression.lottery_ticket") is True),
        "a lottery ticket is pruned at once",
        "compression.lottery_ticket=false",
    ),
    Idle(
        ("compression.begin", "compression.end", "compression.updates"),
        _of("Prune", lambda get: get("compression.schedule") == "once"),
        "everything is pruned at once",
        "compression.schedule=cubic",
    ),
    Idle(
        ("compression.schedule", "compression.begin", "compression.end", "compression.updates"),
        _of("Prune", _not_tuned),
        "without epochs everything is pruned at once",
        "epochs=1",
    ),
    Idle(
        ("compression.begin", "compression.end", "compression.updates", "compression.share", "compression.gradient"),
        _of("Deep", _not_tuned),
        "without epochs everything is done at once",
        "epochs=1",
    ),
)
_MEASURE = (
    Idle(
        ("precision",),
        _graph_file,
        "a finished graph computes as it was exported",
        "",
        ("evaluate",),
    ),
    Idle(
        ("data.workers",),
        lambda get: True,
        "an evaluation reads the set itself",
        "",
        ("evaluate", "bench"),
    ),
    Idle(
        ("optim", "optim.", "scheduler", "scheduler.", "lr"),
        lambda get: True,
        "what a model costs does not depend on how it is trained",
        "",
        ("bench",),
    ),
    Idle(
        ("regularization", "regularization."),
        lambda get: get("run") is not None,
        "a run is measured as it is",
        "",
        ("bench",),
    ),
    Idle(
        ("regularization.l1", "regularization.l2", "regularization.patience"),
        lambda get: True,
        "what a model costs does not depend on how it is trained",
        "",
        ("bench",),
    ),
    Idle(
        ("accuracy",),
        lambda get: get("run") is None,
        "a model that was never trained has none",
        "",
        ("bench",),
    ),
    Idle(
        ("data.val_size", "data.leave_out", "data.in_memory"),
        lambda get: get("run") is None,
        "only the shapes of the samples count",
        "",
        ("bench",),
    ),
    Idle(
        ("data", "data."),
        lambda get: get("run") is not None and get("accuracy") is False and not calibrated() & set(_engines(get)),
        "with accuracy=false no data are read",
        "accuracy=true",
        ("bench",),
    ),
)
RULES = (_WARM_UP, _MOMENTUM, _WORKERS, *_TRAIN, *_DISTILL, *_COMPRESS, *_METHODS, *_MEASURE)


def _is(format: str) -> Callable[[Settings], bool]:
    return lambda get: get("format") == format


def of_formats() -> list[Idle]:
    """The options of an export that its format ignores, as each format declares them."""
    return [
        Idle((option,), _is(name), because, fix, ("export",))
        for name, row in formats().items()
        for option, (because, fix) in row.idle.items()
    ]
