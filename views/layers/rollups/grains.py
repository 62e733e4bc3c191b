"""The grains of rollups, and which definitions have any."""

from __future__ import annotations

from typing import Final

from tandem.schemas.measures.sketches.heavy_hitters import ApproxTopK
from tandem.schemas.time.durations import DAY
from tandem.views.rows import Compiled

__all__ = ["GRAINS", "HOUR", "SHRINK", "grains_of"]

HOUR: Final = DAY // 24
GRAINS: Final = (DAY, HOUR)
"""The coarsest first; all are aligned to 1970-01-01 UTC."""
SHRINK: Final = 4
"""How many times fewer rows a grain must have than its sources to be kept."""


def grains_of(compiled: Compiled) -> tuple[int, ...]:
    """The grains that the tiles of a definition divide, the coarsest first.

    None where states depend on how they were merged: answers are to be the same with and without rollups.
    """
    if any(isinstance(measure, ApproxTopK) for _, measure in compiled.measures):
        return ()
    tile = compiled.definition.tile
    return tuple(grain for grain in GRAINS if tile < grain and grain % tile == 0)
