"""The words that a mistyped one was probably meant to be."""

from __future__ import annotations

from bmx.config.near import either, near, suggestion

__all__ = ["either", "near", "suggestion"]
