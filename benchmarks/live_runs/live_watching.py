"""What the live benchmark observes from outside: memory and CPU of processes, backlog, freshness of served answers."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from benchmarks.live_runs.probes import MINUTE, PROBE_PAGE, PROBE_USER, Probes
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.errors import TandemError
from tandem.views.answers.point import series
from tandem.views.storage.tables import live_totals
from tandem.views.store import ViewStore

__all__ = ["Prober", "Usage", "children", "received", "settled", "usage"]

_TICK: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """CPU seconds and resident megabytes of one process."""

    cpu: float
    memory: float


def usage(pid: int) -> Usage:
    """The usage of a process; zeros for one that has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return Usage(0.0, 0.0)
    return Usage((int(stat[11]) + int(stat[12])) / _TICK, resident * _PAGE_BYTES / 1e6)


def children(pid: int) -> list[int]:
    """The child processes of this process."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()] + [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            if task.name != str(pid)
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return []


def received(store: ViewStore) -> int:
    """Messages that all live runs of a store have received, by the counts of conservation."""
    with store.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.sum(live_totals.c.received))).scalar() or 0)


def settled(store: ViewStore) -> bool:
    """Whether every event that was routed to a tile is counted there, or is a duplicate."""
    t = live_totals.c
    with store.database.read() as connection:
        query = sa.select(sa.func.sum(t.routed - t.counted - t.duplicates))
        return connection.execute(query).scalar() == 0


class Prober(Probes):
    """Queries the answers of the probes' key until they count each probe.

    It queries every `look` seconds, so a freshness is up to that much too long.
    """

    look = 0.025

    def __init__(
        self, store: ViewStore, compiled: CompiledDefinition, address: str, topic: str, form: str, key: str
    ) -> None:
        super().__init__(address, topic, form)
        self._store, self._compiled = store, compiled
        self._key = f'["{PROBE_PAGE}"]' if key == "page" else f"[{PROBE_USER}]"

    def _look(self) -> None:
        while True:
            time.sleep(self.look)
            with self._lock:
                tiles = [tile for tile, waiting in self._waiting.items() if waiting]
            if not tiles:
                continue
            try:
                found = series(self._store, self._compiled, self._key, min(tiles), max(tiles) + MINUTE)
            except TandemError:  # nothing is served yet, or the store is busy
                continue
            now = time.monotonic()
            for point in found.points:
                self._note(point.start, point.events, now)
