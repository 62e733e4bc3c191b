"""Finds the hours that a batch run wrote into: its ancestors' rollups are outdated there, and tiles are read."""

from __future__ import annotations

from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from tandem.views.batch.chains import Chain
from tandem.views.layers.rollups.grains import HOUR
from tandem.views.reconcile.tables import batch_state_digests
from tandem.views.storage.driver_rows import select_rows

__all__ = ["Hours", "changed_hours"]

Hours = npt.NDArray[np.int64]
"""Starts of hours, ascending, each once."""

_D: Final = batch_state_digests.c
_TILES: Final = sa.select(_D.tile).where(_D.batch_run == sa.bindparam("run")).distinct()
_MOST: Final = 1_024
_KNOWN: Final[WeakKeyDictionary[Any, dict[tuple[int, ...], Hours]]] = WeakKeyDictionary()
"""By the store's engine; the hours of a complete run never change."""


def changed_hours(connection: sa.Connection, chain: Chain, prefix: int) -> Hours:
    """The hours that the runs of a chain after `prefix`, which is one of it, wrote into."""
    later = sorted(run for run in chain if run > prefix)
    if not later:
        return np.empty(0, np.int64)
    known = _KNOWN.setdefault(connection.engine, {})
    place = (prefix, later[-1])
    if place not in known:
        found = np.unique(np.concatenate([_of_run(connection, known, run) for run in later]))
        _keep(known, place, found)
    return known[place]


def _of_run(connection: sa.Connection, known: dict[tuple[int, ...], Hours], run: int) -> Hours:
    if (run,) not in known:
        tiles = np.array([tile for (tile,) in select_rows(connection, _TILES, {"run": run})], np.int64)
        _keep(known, (run,), np.unique(tiles // HOUR * HOUR))
    return known[run,]


def _keep(known: dict[tuple[int, ...], Hours], place: tuple[int, ...], found: Hours) -> None:
    while len(known) >= _MOST:
        known.pop(next(iter(known)), None)
    known[place] = found
