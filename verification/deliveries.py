"""The deliveries that may happen between two steps of a world."""

from __future__ import annotations

from typing import Final

__all__ = ["DELIVERIES"]

DELIVERIES: Final = (
    *["deliver"] * 4,
    "deliver later",
    "output fails",
    "answer is lost",
    "deliverer is replaced",
    "deliverer wakes up",
    "drainer stops",
    "drainer goes on",
)
"""Kinds of deliveries."""
