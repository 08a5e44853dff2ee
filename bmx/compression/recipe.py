"""How a compressed model is built again: from the model it was, and a list of plain steps.

A model file holds no pickled module. It holds the configuration that builds the original, and the recipe: what each
compression did to the architecture (ranks, channels, bit widths). Weights are loaded into what comes out.
"""

from __future__ import annotations

from typing import Any

Step = dict[str, Any]
"""One change of an architecture: ``kind`` and whatever that kind needs, in plain containers."""
