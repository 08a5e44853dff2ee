"""Candidate ranks of a layer, and the loss that each rank rule assigns to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bmx.compression.low_rank import spectra, tensor_factors
from bmx.compression.low_rank.allocation import Ladder, Order
from bmx.compression.low_rank.curvature import Curvature
from bmx.compression.low_rank.factored import sizes
from bmx.compression.low_rank.factorizable_layers import FactorizableLayer
from bmx.compression.low_rank.layer_costs import Size
from bmx.compression.low_rank.spectra import Spectrum
from bmx.compression.low_rank.vbmf import vbmf_rank

# By rule: the order of allocation. The first three need the weights only.
RULES: dict[str, Order] = {
    "ratio": "level",
    "energy": "level",
    "vbmf": "level",
    "activation": "slope",
    "kfac": "slope",
}
NEEDS_DATA = ("activation", "kfac")
SCHEME_RULES = {"channel": tuple(RULES), "tucker": ("ratio", "energy", "vbmf"), "cp": ("ratio",)}


@dataclass(frozen=True)
class Choices:
    """Candidate sizes of one layer, with their losses.

    Attributes:
        target: the layer.
        sizes: scheme and ranks, smallest first; each has fewer weights than the unchanged layer.
        lost: loss that the rule assigns to each size; that of the unchanged layer is ``whole``.
        spectrum: its directions; None for Tucker and CP.
        chosen: index of the size that the rule itself chooses, without a budget; only ``vbmf`` does.
        whole: loss of the unchanged layer.
    """

    target: FactorizableLayer
    sizes: Sequence[Size]
    lost: Sequence[float]
    spectrum: Spectrum | None = None
    chosen: int | None = None
    whole: float = 0.0


def spectrum_for(rule: str, target: FactorizableLayer, curvature: Mapping[str, Curvature]) -> Spectrum:
    """Output directions of a layer, ordered by the importance that a rule gives them."""
    if rule == "kfac":
        return spectra.of_loss(target, curvature[target.name])
    if rule == "activation":
        return spectra.of_output(target, curvature[target.name])
    return spectra.of_weight(target)


def choices_for(rule: str, scheme: str, target: FactorizableLayer, curvature: Mapping[str, Curvature]) -> Choices:
    """Candidate sizes of a layer under a rule.

    Args:
        rule: one of ``RULES``.
        scheme: of convolutions with a kernel; all other layers are factored by ``channel``.
        target: the layer.
        curvature: by path, where the rule needs data.
    """
    if scheme != "channel" and target.has_kernel:
        return _tensor_choices(rule, scheme, target)
    most = max(r for r in range(1, target.rank + 1) if r == 1 or _weights(target, ("channel", (r,))) < target.weights)
    spectrum = spectrum_for(rule, target, curvature)
    most = min(most, spectra.true_rank(target.matrix))
    offered: list[Size] = [("channel", (r,)) for r in range(1, most + 1)]
    values = [float(x) for x in spectrum.lost()]
    if rule == "ratio":
        return Choices(target, offered, _shares(target, offered), spectrum, whole=-1.0)
    if rule == "vbmf":
        rank = max(1, vbmf_rank(target.matrix))
        lost = [-r / rank for r in range(1, most + 1)]
        return Choices(target, offered, lost, spectrum, min(rank, most + 1) - 1, whole=-target.rank / rank)
    # The error of one layer's weight or output has no scale of its own: only its share compares with other layers'.
    unit = (values[0] or 1.0) if rule != "kfac" else 1.0
    return Choices(target, offered, [values[r] / unit for r in range(1, most + 1)], spectrum)


def _tensor_choices(rule: str, scheme: str, target: FactorizableLayer) -> Choices:
    if scheme == "cp":
        pairs: list[tuple[int, ...]] = [(r,) for r in range(1, target.rows * target.columns)]
    else:
        pairs = list(tensor_factors.tucker_sizes(target, rule == "vbmf"))
    offered: list[Size] = []
    for ranks in pairs:
        if _weights(target, (scheme, ranks)) >= target.weights:
            break
        offered.append((scheme, ranks))
    if rule == "energy":
        lost = tensor_factors.tucker_lost(target, [(s[1][0], s[1][1]) for s in offered])
        return Choices(target, offered, lost)
    if rule == "vbmf":
        ranks = tuple(max(1, vbmf_rank(side)) for side in tensor_factors.sides(target))
        levels = [-max(s[1]) / max(ranks) for s in offered]
        found = next((i for i, s in enumerate(offered) if s[1] == ranks), len(offered))
        return Choices(target, offered, levels, None, found, whole=min([*levels, -1.0]))
    return Choices(target, offered, _shares(target, offered), whole=-1.0)


def _shares(target: FactorizableLayer, offered: Sequence[Size]) -> list[float]:
    return [-_weights(target, size) / target.weights for size in offered]


def _weights(target: FactorizableLayer, size: Size) -> int:
    return sum(sizes(target.layer, *size))


def ladder_for(choices: Choices, costs: Sequence[float], whole: float) -> Ladder:
    """The efficient sizes: each costs less than every larger one and than the unchanged layer.

    Args:
        choices: the sizes.
        costs: of each.
        whole: cost of the unchanged layer.
    """
    kept: list[int] = []
    least = whole
    for at in reversed(range(len(costs))):
        if costs[at] < least:
            kept.append(at)
            least = costs[at]
    kept.reverse()
    return Ladder(
        choices.target.name,
        [*kept, None],
        [*(costs[at] for at in kept), whole],
        [*(choices.lost[at] for at in kept), choices.whole],
    )
