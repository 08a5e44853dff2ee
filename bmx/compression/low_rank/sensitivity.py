"""Sensitivity of a net to low rank in each single layer, predicted and measured."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from torch import nn

from bmx.compression.low_rank.curvature import measure_curvature
from bmx.compression.low_rank.factored import bias_of, factored_like, fill
from bmx.compression.low_rank.factorizable_layers import find_targets
from bmx.compression.low_rank.rank_rules import spectrum_for
from bmx.compression.method import Context
from bmx.compression.module_replacement import replace

RATIOS = (0.5, 0.25, 0.1)


def layer_sensitivity(
    net: nn.Module,
    context: Context,
    ratios: Sequence[float] = RATIOS,
    samples: int = 1024,
    measured: bool = True,
    skip: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Predicts and measures the effect of factoring one layer to a fraction of its weights, by the rule ``kfac``.

    Args:
        net: in eval mode; not modified.
        context: supplies the calibration samples and the score on the validation set.
        ratios: fractions of a layer's weights.
        samples: calibration samples.
        measured: whether the net with each layer compressed is scored, which takes a pass over the validation set for
            each layer and ratio; otherwise only the prediction is returned.
        skip: layers to skip, as in :class:`bmx.compression.low_rank.LowRank`.

    Returns:
        A row for each layer and ratio, layers in the net's order: ``layer``, ``kind``, ``weights``, ``ratio`` as
        requested, ``kept``, the fraction at the nearest rank below it (above, if rank 1 is), ``rank``,
        ``predicted_loss_rise`` in nats, of predictions softened by :data:`.curvature.TEMPERATURE`, and ``score`` and
        ``score_drop`` in the score's own unit, None if not measured.

    Raises:
        UsageError: as ``LowRank``.
    """
    found = find_targets(net, context.example, skip)
    curvature = measure_curvature(net, found.targets, context, samples)
    base = context.score(net) if measured else None
    rows: list[dict[str, Any]] = []
    for name, target in found.targets.items():
        spectrum = spectrum_for("kfac", target, curvature)
        lost = spectrum.lost()
        step = target.rows + target.columns
        scored: dict[int, float] = {}
        for ratio in ratios:
            rank = min(target.rank, max(1, int(ratio * target.weights / step)))
            if base is not None and rank not in scored:
                new = factored_like(target.layer, "channel", (rank,))
                fill(new, spectrum.factors(rank), spectrum.bias(rank, bias_of(target.layer)))
                tried = copy.deepcopy(net)
                scored[rank] = context.score(replace(tried, tried.get_submodule(name), new))
            score = scored.get(rank)
            rows.append(
                {
                    "layer": name,
                    "kind": type(target.layer).__name__,
                    "weights": target.weights,
                    "ratio": float(ratio),
                    "kept": rank * step / target.weights,
                    "rank": rank,
                    "predicted_loss_rise": float(lost[rank]),
                    "score": score,
                    "score_drop": None if score is None or base is None else base - score,
                }
            )
    return rows
