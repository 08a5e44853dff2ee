"""What deep compression refuses names fields and values that it takes."""

import pytest

from bmx.compression.deep.method import Deep
from bmx.errors import UsageError


@pytest.mark.parametrize(
    ("fields", "what", "where", "fix", "better"),
    [
        (
            {"gradient": "maen"},
            "gradient cannot be 'maen'",
            "gradient=maen",
            "did you mean 'mean'",
            {"gradient": "mean"},
        ),
        ({"bits": {"convs": 4}}, "no bits for 'convs'", "bits.convs", "did you mean 'conv'", {"bits": {"conv": 4}}),
        ({"bits": {"conv": 9}}, "9 bits are too", "bits.conv=9", "1 to 8, or null", {"bits": {"conv": 8}}),
        ({"bits": {"bias": 0}}, "0 bits are too", "bits.bias=0", "1 to 8, or null", {"bits": {"bias": None}}),
    ],
)
def test_a_field_that_cannot_be_is_answered_with_one_that_can(fields, what, where, fix, better):
    with pytest.raises(UsageError) as refused:
        Deep(**fields)
    assert what in refused.value.what and refused.value.where == f"compression.{where}" and fix in refused.value.fix
    assert Deep(**better)
