"""The extras of the package, under the name that exports know them by."""

from bmx.extras import EXTRAS, need

__all__ = ["EXTRAS", "need"]
