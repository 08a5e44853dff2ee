"""Which ranks a layer may have, and what each rule says is lost at each of them."""

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

# By rule: how a budget is shared out. The first three look at the weights alone.
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
    """The sizes of one layer.

    Attributes:
        target: the layer.
        sizes: scheme and ranks, smallest first; each has fewer weights than the layer as it is.
        lost: what the rule says is lost at each size; the layer as it is loses nothing, or ``whole``.
        spectrum: its directions; None for Tucker and CP.
        chosen: the size the rule takes by itself, without a budget; only ``vbmf`` does.
        whole: see ``lost``.
    """

    target: FactorizableLayer
    sizes: Sequence[Size]
    lost: Sequence[float]
    spectrum: Spectrum | None = None
    chosen: int | None = None
    whole: float = 0.0


def spectrum_for(rule: str, target: FactorizableLayer, curvature: Mapping[str, Curvature]) -> Spectrum:
    """The directions of a layer in the order that a rule drops them."""
    if rule == "kfac":
        return spectra.of_loss(target, curvature[target.name])
    if rule == "activation":
        return spectra.of_output(target, curvature[target.name])
    return spectra.of_weight(target)


def choices_for(rule: str, scheme: str, target: FactorizableLayer, curvature: Mapping[str, Curvature]) -> Choices:
    """What a layer can become under a rule.

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
    """The sizes worth having: each costs less than every larger one and than the layer as it is.

    Args:
        choices: the sizes.
        costs: of each.
        whole: cost of the layer as it is.
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
