"""Builds the parts of a run (data, model, optimiser, ...) from their config groups."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.optim import Optimizer

from bmx.compression.method import Method
from bmx.data.arrays import Source
from bmx.data.augmentation import Augmentation
from bmx.data.kinds.found import kind_named
from bmx.data.pipeline.loading import fits_in_memory
from bmx.data.pipeline.spooling import keep_on_disk
from bmx.data.spec import DataSpec
from bmx.distillation.method import Distillation
from bmx.engine.signature import accepts, bind
from bmx.errors import BmxError, UsageError
from bmx.extras import extra_of, install
from bmx.targets.blame import described, root_cause, user_line

T = TypeVar("T")

# Keys of the data group that configure the batches, not the data set.
BATCHING_KEYS = ("val_size", "in_memory", "workers", "leave_out")


def call(node: DictConfig, where: str, **arguments: Any) -> Any:
    """Calls the target of ``node``; errors in it are reported as errors of the command or of the user's code.

    Raises:
        UsageError: with the failing line of the user's code, if there is one.
        NotImplementedError: passed through: the meta device raises it for unsupported operations.
    """
    try:
        # Arguments are handed over by bmx itself: Hydra would copy them into a configuration first.
        target = instantiate(node, _convert_="all", _partial_=True)
        return target(**arguments)
    except Exception as error:
        cause, line = root_cause(error), user_line(error)
        if isinstance(cause, BmxError):
            raise cause from None
        if isinstance(cause, NotImplementedError):
            raise cause from error
        at = f"{where} ({node._target_})"
        if line is not None:
            raise UsageError(
                f"{node._target_} fails: {described(cause)}", f"{where}; {line}", "mend that line"
            ) from error
        if isinstance(cause, ImportError):
            extra = extra_of(cause.name or "")
            fix = install(extra) if extra else "install what it needs, or leave it out"
            raise UsageError(f"{node._target_} needs what is not there: {described(cause)}", at, fix) from error
        if isinstance(cause, ValueError | TypeError):
            message = (str(cause).strip() or type(cause).__name__).splitlines()[0]
            fix = f"with --help the same command lists the fields of {where}"
            raise UsageError(message, at, fix) from error
        if str(node._target_).startswith("bmx."):
            raise cause from error  # a bug in bmx itself
        raise UsageError(
            f"{node._target_} fails: {described(cause)}", at, "change its fields, or leave it out"
        ) from error


_kept: dict[str, Source] | None = None


@contextmanager
def sources_kept() -> Iterator[None]:
    """Context manager that caches loaded data sets by ``data`` group: for checking many configurations."""
    global _kept
    before = _kept
    _kept = {} if before is None else before
    try:
        yield
    finally:
        _kept = before


def make_source(data: DictConfig) -> Source:
    """Loads the data set of the ``data`` group.

    Raises:
        UsageError: a field that the data set does not have, or files that cannot be found.
    """
    node = _without(data, *BATCHING_KEYS)
    found = bind(_without(node, "dir"), "data")
    if "dir" in node and not accepts(found, ["dir"]):
        if node.dir is not None and not str(node._target_).startswith("bmx."):
            raise UsageError(f"{node._target_} has no field 'dir'", f"data.dir={node.dir}", "leave it out")
        node = _without(node, "dir")  # old runs of bmx's own data sets have recorded it
    wanted = data.get("in_memory", "auto")
    assert wanted in (True, False, "auto"), "the declaration of data.in_memory says so"
    known = f"{wanted} {OmegaConf.to_yaml(node)}" if _kept is not None else ""
    if _kept is not None and known in _kept:
        return _kept[known]
    can_stay = "on_disk" not in node and bool(accepts(found, ["on_disk"]))
    source = _source(node, {"on_disk": True} if can_stay and wanted is not True else {})
    if wanted is False:
        source = keep_on_disk(source)
    elif wanted is True or fits_in_memory(source.train):
        source = source.in_memory()
    if _kept is not None:
        _kept[known] = source
    return source


def _source(node: DictConfig, arguments: dict[str, Any]) -> Source:
    """Calls the data function, which may be the user's, and checks what it returns."""
    where = source_name(node)
    source = call(node, "data", **arguments)
    if not isinstance(source, Source):
        fix = "return bmx.data.arrays.Source(train, test, spec): two Arrays(inputs, targets) and a DataSpec"
        raise UsageError(f"{node._target_} returned a {type(source).__name__}, not a Source", where, fix)
    return source


def source_name(data: DictConfig) -> str:
    """Name of the data for messages: of a user's function its own; of bmx's data sets the option and folder."""
    target, folder = str(data.get("_target_")), data.get("dir")
    if not target.startswith("bmx.data."):
        return f"data._target_={target}"
    return f"data={target.rpartition('.')[2]}" + (f" data.dir={folder}" if folder else "")


def _without(node: DictConfig, *keys: str) -> DictConfig:
    plain = OmegaConf.to_container(node, resolve=True)  # a copy alone would lose what its interpolations refer to
    assert isinstance(plain, dict)
    return OmegaConf.create({key: value for key, value in plain.items() if key not in keys})


def make_model(model: DictConfig, spec: DataSpec) -> nn.Module:
    """Builds the model of the ``model`` group for data of this kind.

    The constructor gets its own fields from the configuration, and from the data those of
    :meth:`DataSpec.model_arguments` that its signature names and the configuration does not set (or sets to null).

    Raises:
        UsageError: unknown or missing fields, or a model that cannot take this data.
    """
    facts = spec.model_arguments()
    found = bind(model, "model", supplied=facts)
    wanted = accepts(found, facts) - {str(key) for key in model if model[key] is not None}
    net = call(model, "model", **{name: facts[name] for name in sorted(wanted)})
    if not isinstance(net, nn.Module):
        raise UsageError(
            f"{model._target_} made a {type(net).__name__}, not an nn.Module", "model._target_", "subclass nn.Module"
        )
    return net


def make_bmx(node: DictConfig, group: str, kind: type[T], method: str) -> T:
    """Builds the target of a group, which must be a subclass of ``kind`` that implements ``method``."""
    bind(node, group)
    made = call(node, group)
    if not isinstance(made, kind):
        fix = f"subclass {kind.__module__}.{kind.__name__} and write its {method}()"
        raise UsageError(f"{node._target_} is not a bmx {kind.__name__.lower()}", f"{group}._target_", fix)
    return made


def make_method(compression: DictConfig) -> Method:
    """Builds the compression method of the ``compression`` group.

    Raises:
        UsageError: fields that the method does not have, or values that it rejects.
    """
    bind(compression, "compression")
    made = call(compression, "compression")
    if not callable(made):
        what = f"{compression._target_} made a {type(made).__name__}, not a compression method"
        raise UsageError(what, "compression._target_", "write its __call__(net, context) -> Outcome")
    return cast(Method, made)


def make_augmentation(augmentation: DictConfig | None, spec: DataSpec) -> Augmentation | None:
    """Builds the ``augmentation`` group; None where it is empty.

    Raises:
        UsageError: unknown fields, or data of another kind than it supports.
    """
    if augmentation is None or not augmentation.get("_target_"):
        return None
    made = make_bmx(augmentation, "augmentation", Augmentation, "__call__")
    if made.kind != spec.kind:
        where, wanted = f"augmentation, data={spec.name}", kind_named(made.kind)
        for_what = wanted.samples if wanted is not None else made.kind
        what = f"this augmentation is for {for_what}, and these data are {spec.kind}"
        raise UsageError(what, where, "augmentation=none")
    return made


def make_distillation(distillation: DictConfig) -> Distillation:
    """Builds the method of the ``distillation`` group."""
    return make_bmx(distillation, "distillation", Distillation, "term")


def optimizer_maker(optim: DictConfig, lr: float) -> Callable[[Iterable[nn.Parameter]], Optimizer]:
    """Returns the factory of the ``optim`` group's optimiser, from parameters to optimiser.

    Args:
        optim: the group.
        lr: the learning rate of the run; the optimiser gets it where the group sets none.

    Weight decay applies to parameters of two or more dimensions, not to biases and normalisation. The fused
    implementation is used where torch has one: it computes the same in one pass.

    Raises:
        UsageError: fields that the optimiser does not have, values that it rejects, or a learning rate that does not
            reach it.
    """
    found = bind(optim, "optim", supplied=("params", "lr"))
    takes_lr = bool(accepts(found, ["lr"]))
    if takes_lr and optim.get("lr") is not None and optim.lr != lr:
        fix = f"write lr: ${{lr}} in the optim file, or leave it out there; lr={optim.lr} sets it"
        raise UsageError(f"optim.lr is {optim.lr} and lr is {lr:g}: one would be ignored", "optim.lr", fix)

    def make(parameters: Iterable[nn.Parameter], lr: float = lr) -> Optimizer:
        groups = _decay_groups(list(parameters), float(optim.get("weight_decay") or 0.0))
        extra: dict[str, Any] = {"lr": lr} if takes_lr else {}
        if "fused" in inspect.signature(found).parameters and "fused" not in optim and _can_fuse(groups):
            extra["fused"] = True
        # torch warns of learning rates given twice; the groups carry the parameters, the rest is configured.
        made = call(optim, "optim", params=groups, **extra)
        if not isinstance(made, Optimizer):
            what = f"{optim._target_} made a {type(made).__name__}, not a torch.optim.Optimizer"
            raise UsageError(what, "optim._target_", "subclass torch.optim.Optimizer")
        return made

    _check_rate(str(optim._target_), make, lr)
    return make


def _check_rate(target: str, make: Callable[..., Optimizer], lr: float) -> None:
    """Builds the optimiser once, so that invalid values fail before training; checks that ``lr`` reaches it."""
    trial, doubled = (make([nn.Parameter(torch.zeros(1, 1))], rate) for rate in (lr, 2 * lr))
    rates, more = ([group.get("lr") for group in optimizer.param_groups] for optimizer in (trial, doubled))
    if None in rates:
        what = f"{target} keeps no 'lr' for its parameters, so that nothing could set or show its rate"
        raise UsageError(what, "optim._target_", "give each of its param_groups an 'lr'")
    if lr not in rates and rates == more:
        own = f"{float(rates[0] or 0):g}"
        what = f"{target} steps with the rate {own} whatever lr is, and lr={lr:g} would be ignored"
        fix = f"write ${{lr}} for its step size in the optim file, or use lr={own}"
        raise UsageError(what, f"lr={lr:g}", fix)


def trial_of(make_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]) -> Optimizer:
    """A throwaway optimiser of a run's class and learning rate, over a single scalar."""
    return make_optimizer([nn.Parameter(torch.zeros(1, 1))])


def _decay_groups(parameters: list[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    if not weight_decay:
        return [{"params": parameters}]
    decayed = [p for p in parameters if p.ndim >= 2]
    spared = [p for p in parameters if p.ndim < 2]
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": spared, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _can_fuse(groups: list[dict[str, Any]]) -> bool:
    return all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for g in groups for p in g["params"])
