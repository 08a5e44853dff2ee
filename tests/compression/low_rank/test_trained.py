"""What the rules are worth on a trained net, and how much each of its layers matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from bmx.compression.low_rank.curvature import TEMPERATURE
from bmx.compression.low_rank.method import LowRank
from bmx.compression.low_rank.sensitivity import layer_sensitivity
from bmx.compression.method import Context
from bmx.runs.report import sensitivity
from tests.compression.low_rank_nets import context


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Module, Context]:
    """A small convolutional net that knows handwritten digits, 8 x 8 pixels, and its validation set."""
    from sklearn.datasets import load_digits

    data = load_digits()
    x = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
    y = torch.tensor(data.target)
    draw = torch.Generator().manual_seed(0)
    order = torch.randperm(len(x), generator=draw)
    fit, held_out = order[:1200], order[1200:]
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    steps = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(6):
        for part in fit[torch.randperm(len(fit), generator=draw)].split(50):
            steps.zero_grad()
            F.cross_entropy(net(x[part]), y[part]).backward()
            steps.step()
    return net.eval(), context(x[fit], 10, y[fit], (x[held_out], y[held_out]))


@pytest.fixture(scope="module")
def scores(trained: tuple[nn.Module, Context]) -> dict[str, float]:
    net, ctx = trained
    made = {rule: LowRank(rule, {"params": 0.05})(net, ctx).net for rule in ("ratio", "energy", "activation", "kfac")}
    return {"whole": ctx.score(net)} | {rule: ctx.score(compressed) for rule, compressed in made.items()}


def test_where_little_is_left_the_more_a_rule_knows_the_better_it_is(scores):
    assert scores["whole"] > 95
    assert scores["kfac"] > scores["activation"] + 5, scores
    assert scores["activation"] >= scores["energy"] >= scores["ratio"], scores


def test_at_a_sixth_of_the_weights_little_is_lost(trained, scores):
    net, ctx = trained
    assert ctx.score(LowRank(budget={"params": 0.15})(net, ctx).net) > scores["whole"] - 1.5


def test_the_predicted_rise_of_the_loss_is_near_the_real_one_where_it_is_small(trained):
    net, ctx = trained
    inputs: Tensor = torch.cat([x for x, _ in ctx.calibration(1200)])
    outcome = LowRank(budget={"params": 0.25}, samples=1200)(net, ctx)
    with torch.no_grad():
        before, after = ((model(inputs) / TEMPERATURE).log_softmax(1) for model in (net, outcome.net))
        rise = TEMPERATURE * float((before.exp() * (before - after)).sum(1).mean())
    assert rise / 10 < outcome.facts["predicted_loss_rise"] < 10 * rise


@pytest.fixture(scope="module")
def found(trained: tuple[nn.Module, Context]) -> list[dict[str, Any]]:
    return layer_sensitivity(*trained, samples=400)


def test_sensitivity_of_each_layer(trained, found):
    net, ctx = trained
    assert [row["layer"] for row in found] == [name for name in ("0", "2", "6", "8") for _ in range(3)]
    for row in found:
        assert row["score_drop"] == pytest.approx(ctx.score(net) - row["score"])
        assert row["kept"] <= row["ratio"] or row["rank"] == 1
    by = {(row["layer"], row["ratio"]): row for row in found}
    for name in ("2", "6", "8"):
        rises = [by[name, ratio]["predicted_loss_rise"] for ratio in (0.5, 0.25, 0.1)]
        assert rises == sorted(rises)
    assert by["8", 0.1]["score_drop"] > 30, "one direction cannot tell ten digits apart"
    assert by["6", 0.25]["score_drop"] < 2
    predicted = layer_sensitivity(net, ctx, (0.5,), 400, measured=False, skip=["0"])
    assert [row["layer"] for row in predicted] == ["2", "6", "8"]
    assert all(row["score"] is None and row["score_drop"] is None for row in predicted)


def test_sensitivity_is_drawn(tmp_path: Path, found, monkeypatch):
    from matplotlib.text import Text

    seen: list[str] = []
    real = Text.draw
    monkeypatch.setattr(Text, "draw", lambda self, *a, **k: (seen.append(self.get_text()), real(self, *a, **k))[1])
    sensitivity.draw(found, tmp_path / "measured.png")
    worst = max(found, key=lambda row: row["score_drop"])
    assert any(text.startswith(f"{worst['layer']} matters most") for text in seen)
    assert not any("$" in text for text in seen)
    sensitivity.draw([row | {"score_drop": None} for row in found], tmp_path / "predicted.png")
    assert any("is predicted to matter most" in text for text in seen)
    widths = [Image.open(tmp_path / f"{name}.png").width for name in ("predicted", "measured")]
    assert widths[0] < widths[1]
    sensitivity.draw([], tmp_path / "nothing.png")
    assert not (tmp_path / "nothing.png").exists()
