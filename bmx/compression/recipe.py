"""Recipe of a compressed model: the list of steps that rebuild its architecture from the original.

A model file holds no pickled module. It holds the configuration that builds the original, and the recipe: the change of
the architecture by each compression (ranks, channels, bit widths). Weights are loaded into the result.
"""

from __future__ import annotations

from typing import Any

Step = dict[str, Any]
"""One change of an architecture: ``kind`` and the fields of that kind, in plain containers."""
