"""Deep Compression: pruning, weight sharing by k-means, and entropy coding (Han et al. 2016)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import nn

from bmx.compression.deep.weight_sharing import Sharing
from bmx.compression.earlier_stages import VALUES, ZEROS
from bmx.compression.method import Context, LayerChange, Outcome
from bmx.compression.prunable import PrunableLayer
from bmx.compression.prune.fixed_masks import Masking, Ramp
from bmx.compression.prune.method import Prune, changes, facts
from bmx.errors import UsageError, did_you_mean

GRADIENTS = ("sum", "mean")
KINDS = ("conv", "linear", "bias")


@dataclass
class Deep:
    """Prunes a net, then lets the weights of each layer share 2^bits values (Han et al. 2016, "Deep Compression").

    Fine-tuning has three parts: pruning by the cubic schedule, recovery, and from ``share`` on training of the shared
    values. The third stage of the paper, entropy coding, happens in the file: ``bmx export format=packed``, or
    best.ckpt turned into one. Batch normalisations and embeddings do not change.

    Attributes:
        criterion: see :class:`bmx.compression.prune.Prune`.
        sparsity: fraction of the weights that become zero.
        budget: ``params``: how many weights stay, as a fraction up to 1 or a count; replaces ``sparsity``.
        begin: fraction of the fine-tuning after which pruning begins.
        end: fraction of the fine-tuning after which everything is pruned.
        updates: number of pruning steps in between.
        share: fraction of the fine-tuning after which values are shared; not before ``end``.
        bits: for ``conv``, ``linear`` and ``bias``: 2 to the power of it is the number of values that a layer has
            besides zero; None keeps those parameters exact. Recurrent layers count as ``linear``.
        gradient: of a shared value: ``sum`` of those of its weights, as in the paper, or their ``mean``.
        skip: names of layers to skip; ``*`` matches anything.
    """

    # Can start from an untrained net and follow its schedule during training.
    while_training: ClassVar[bool] = True
    settles_late: ClassVar[bool] = True

    place: ClassVar[int] = 3
    smallest: ClassVar[float] = 0.005
    keeps_size: ClassVar[bool] = True
    makes: ClassVar[tuple[str, ...]] = (ZEROS, VALUES)

    criterion: str = "lamp"
    sparsity: float | None = 0.97
    budget: Mapping[str, Any] = field(default_factory=dict)
    begin: float = 0.0
    end: float = 0.6
    updates: int = 100
    share: float = 0.8
    bits: Mapping[str, int | None] = field(default_factory=lambda: {"conv": 5, "linear": 4, "bias": 5})
    gradient: str = "sum"
    skip: Sequence[str] = ()

    def __post_init__(self) -> None:
        self._prune = Prune(
            self.criterion,
            self.sparsity,
            self.budget,
            begin=self.begin,
            end=self.end,
            updates=self.updates,
            skip=self.skip,
        )
        if self.gradient not in GRADIENTS:
            fix = did_you_mean(str(self.gradient), GRADIENTS)
            what = f"compression.gradient cannot be '{self.gradient}'"
            raise UsageError(what, f"compression.gradient={self.gradient}", fix)
        if not self.end <= self.share <= 1:
            where = f"compression.end={self.end} compression.share={self.share}"
            fix = f"write compression.share={max(self.end, 0.8):g}"
            raise UsageError("values are shared once everything is pruned: end <= share <= 1", where, fix)
        for kind, bits in self.bits.items():
            if kind not in KINDS:
                fix = did_you_mean(kind, KINDS)
                raise UsageError(f"there are no bits for '{kind}'", f"compression.bits.{kind}", fix)
            if bits is not None and not 1 <= bits <= 8:
                fix = "write 1 to 8, or null to keep these parameters exact"
                raise UsageError(f"{bits} bits are too few or too many", f"compression.bits.{kind}={bits}", fix)

    def __call__(self, net: nn.Module, context: Context) -> Outcome:
        """See :class:`bmx.compression.method.Method`.

        Raises:
            UsageError: a layer that does not exist, nothing to prune, or a budget out of range.
        """
        layers = self._prune.layers(net)
        pruned = copy.deepcopy(net)
        masking = self._prune.masking(pruned, layers, context.seed)
        tuning = Sharing(pruned, masking, self._most(pruned, layers), self.share, self.gradient)

        def finish(tuned: nn.Module, context: Context) -> Outcome:
            final = copy.deepcopy(tuned)
            fields = (masking.names, masking.zeros, self.criterion, masking.pattern, Ramp(), masking.seed)
            last = Sharing(final, Masking(final, *fields), tuning.most, self.share, self.gradient)
            # The best epoch may be one from before sharing began, or there was no fine-tuning.
            last.share()
            _round_values(final, tuning.most)
            return Outcome(final, [], _changes(final, layers, tuning.most), facts=_facts(last))

        return Outcome(pruned, [], changes(pruned, layers, masking), tuning, finish, facts(masking))

    def _most(self, net: nn.Module, layers: Sequence[PrunableLayer]) -> dict[str, int]:
        """Largest number of values of each parameter."""
        names = {id(parameter): name for name, parameter in net.named_parameters()}
        modules = dict(net.named_modules())
        most = {}
        for layer in layers:
            if not layer.weights:
                continue
            kind = "conv" if isinstance(layer.module, nn.modules.conv._ConvNd) else "linear"
            for parameter in modules[layer.name].parameters(recurse=False):
                bits = self.bits.get(kind if parameter.ndim >= 2 else "bias")
                if bits is not None:
                    most[names[id(parameter)]] = 2**bits
        return most


def _round_values(net: nn.Module, names: Mapping[str, int]) -> None:
    """Rounds shared values to float16, in which a codebook is stored; values out of its range stay."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name in names:
                rounded = parameter.half().to(parameter.dtype)
                parameter.copy_(torch.where(rounded.isfinite(), rounded, parameter))


def _values(net: nn.Module, names: Mapping[str, int]) -> dict[str, int]:
    """Number of distinct nonzero values of each shared parameter."""
    return {name: len(p.detach()[p != 0].unique()) for name, p in net.named_parameters() if name in names}


def _changes(net: nn.Module, layers: Sequence[PrunableLayer], names: Mapping[str, int]) -> list[LayerChange]:
    values = _values(net, names)
    rows = []
    for layer, row in zip(layers, changes(net, layers), strict=True):
        shared = [f"{values[name]}" for name in layer.weights if name in values]
        note = f"{row.note}, {' and '.join(shared)} values" if shared else row.note
        rows.append(LayerChange(row.name, row.kind, row.before, row.after, note))
    return rows


def _facts(tuning: Sharing) -> dict[str, Any]:
    return {**facts(tuning.masking), "values_by_weight": _values(tuning.net, tuning.most)}
