"""What the live benchmark observes from outside: memory and CPU of processes, backlog, freshness of served answers."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import sqlalchemy as sa
from google.pubsub_v1.types import PublishRequest

from benchmarks.inputs.clicks import SCHEMA_FILE
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.errors import TandemError
from tandem.views.answers.point import series
from tandem.views.storage.tables import live_totals
from tandem.views.store import ViewStore

__all__ = ["PROBE_PAGE", "Prober", "Usage", "children", "percentiles", "probe", "received", "settled", "usage"]

PROBE_PAGE: Final = "/probe"
PROBE_USER: Final = 9_999_999
_TICK: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """Of one process: CPU seconds so far, resident megabytes."""

    cpu: float
    memory: float


def usage(pid: int) -> Usage:
    """Zeros for a process that has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return Usage(0.0, 0.0)
    return Usage((int(stat[11]) + int(stat[12])) / _TICK, resident * _PAGE_BYTES / 1e6)


def children(pid: int) -> list[int]:
    """Processes that this one started."""
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
    """Messages that all live runs in a store have taken in, by the counts that conservation is checked with."""
    with store.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.sum(live_totals.c.received))).scalar() or 0)


def settled(store: ViewStore) -> bool:
    """Whether all that was routed to tiles is counted there, or a duplicate."""
    t = live_totals.c
    with store.database.read() as connection:
        query = sa.select(sa.func.sum(t.routed - t.counted - t.duplicates))
        return connection.execute(query).scalar() == 0


@dataclass
class Prober:
    """Publishes an event with a key of its own every 100 ms and asks for this key's answers until they have it.

    Answers are asked for every `look` seconds, so a freshness is up to that much too long. Probes are counted by tile,
    in order: the first n of a tile are served when its answer says n events.
    """

    store: ViewStore
    compiled: CompiledDefinition
    address: str
    topic: str
    form: str
    key: str
    every: float = 0.1
    look: float = 0.025
    freshness: list[tuple[float, float]] = field(default_factory=list)
    """(when it was published, seconds since the prober began; seconds until it was in an answer)."""
    sent: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._waiting: dict[int, deque[float]] = {}
        self._known: dict[int, int] = {}
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._publish, self._look)]
        self._begun = time.monotonic()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop_publishing(self) -> None:
        """Publish no more; what was published is still waited for."""
        self._stop.set()
        self._threads[0].join()

    @property
    def waiting(self) -> int:
        """Probes that aren't in an answer yet."""
        with self._lock:
            return sum(map(len, self._waiting.values()))

    def _publish(self) -> None:
        call: Any = grpc.insecure_channel(self.address, options=[("grpc.use_local_subchannel_pool", 1)]).unary_unary(
            "/google.pubsub.v1.Publisher/Publish", request_serializer=PublishRequest.pb().SerializeToString
        )
        while not self._stop.wait(self.every):
            now = time.time_ns() // 1_000
            payload = probe(self.form, self.sent, now)
            with self._lock:
                self._waiting.setdefault(now // 60_000_000 * 60_000_000, deque()).append(time.monotonic())
            call(PublishRequest.pb()(topic=self.topic, messages=[{"data": payload}]))
            self.sent += 1

    def _look(self) -> None:
        key = f'["{PROBE_PAGE}"]' if self.key == "page" else f"[{PROBE_USER}]"
        while True:
            time.sleep(self.look)
            with self._lock:
                tiles = [tile for tile, waiting in self._waiting.items() if waiting]
            if not tiles:
                continue
            try:
                found = series(self.store, self.compiled, key, min(tiles), max(tiles) + 60_000_000)
            except TandemError:  # nothing is served yet, or the store is busy
                continue
            now = time.monotonic()
            with self._lock:
                for point in found.points:
                    waiting = self._waiting.get(point.start, deque())
                    for _ in range(min(point.events - self._known.get(point.start, 0), len(waiting))):
                        published = waiting.popleft()
                        self.freshness.append((published - self._begun, now - published))
                    self._known[point.start] = point.events


def probe(form: str, number: int, now: int) -> bytes:
    import io
    import json

    import fastavro

    event = {
        "event_id": f"probe-{number:010d}",
        "event_time": now,
        "user_id": PROBE_USER,
        "page": PROBE_PAGE,
        "country": "AF",
        "amount": 1.0,
    }
    if form == "json":
        return json.dumps(event).encode()
    sink = io.BytesIO()
    fastavro.schemaless_writer(sink, json.loads(SCHEMA_FILE.read_text()), event)
    return sink.getvalue()


def percentiles(values: list[float]) -> dict[str, float | None]:
    """p50, p90, p99 and the largest, in seconds."""
    if not values:
        return dict.fromkeys(("p50", "p90", "p99", "max"))
    found = np.percentile(np.array(values), (50, 90, 99, 100)).round(3).tolist()
    return dict(zip(("p50", "p90", "p99", "max"), found, strict=True))
