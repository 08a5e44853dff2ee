"""Re-exports the package's optional dependencies (extras) for the export formats."""

from bmx.extras import EXTRAS, need

__all__ = ["EXTRAS", "need"]
