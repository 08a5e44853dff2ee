"""Expected calibration error."""

import pytest
import torch

from bmx.measure.calibration import calibration_error


def test_by_hand():
    # Bin (0.9, 1]: two answers, 0.95 sure on average, one right: gap 0.45. Bin (0.5, 0.6]: one, 0.6 sure, right: 0.4.
    probability = torch.tensor([0.92, 0.98, 0.6])
    correct = torch.tensor([True, False, True])
    assert calibration_error(probability, correct, bins=10) == pytest.approx((2 * 0.45 + 0.4) / 3)


def test_ends():
    assert calibration_error(torch.ones(4), torch.ones(4, dtype=torch.bool)) == 0
    assert calibration_error(torch.ones(4), torch.zeros(4, dtype=torch.bool)) == 1
