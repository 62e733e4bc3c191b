"""The rule of lateness, as a check."""

from __future__ import annotations

import numpy as np
from samples.sales import LATENESS, TILE

from tandem.transforms.routing import tiles as routing

START = 5 * TILE
BORDER = START + TILE + LATENESS
"""The first watermark at which the tile that begins at START takes nothing more."""

CASES = {
    "nothing is known": (None, False),
    "the tile begins": (START, False),
    "the tile is over": (START + TILE, False),
    "a microsecond before the border": (BORDER - 1, False),
    "at the border": (BORDER, True),
    "after it": (BORDER + 1, True),
}
"""Watermark, and whether an event of the tile is late by it."""


def check_border() -> None:
    """Late begins where the watermark reaches the tile's end and the lateness."""
    for name, (watermark, late) in CASES.items():
        found = routing.late_rows(np.array([START]), TILE, LATENESS, watermark)
        assert found.tolist() == [late], name
