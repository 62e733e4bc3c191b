"""Probes of the live benchmarks: events of one key, published at a steady pace, and seconds until each was visible."""

from __future__ import annotations

import io
import json
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import fastavro
import grpc
import numpy as np
from google.pubsub_v1.types import PublishRequest

from benchmarks.inputs.clicks import SCHEMA_FILE

__all__ = ["MINUTE", "PROBE_PAGE", "PROBE_USER", "Probes", "method_of", "percentiles"]

PROBE_PAGE: Final = "/probe"
PROBE_USER: Final = 9_999_999
MINUTE: Final = 60_000_000


class Probes(ABC):
    """Publishes an event with its own key every 100 ms, and looks for them in another thread.

    Probes are counted by minute, in order: the first n of a minute have arrived once n events of it have.
    """

    every = 0.1

    def __init__(self, address: str, topic: str, form: str = "json") -> None:
        self._address, self._topic, self._form = address, topic, form
        self.seconds: list[tuple[float, float]] = []
        """(time of its publication in seconds since the start; seconds until it arrived)."""
        self.sent = 0
        self._stop, self._lock, self._begun = threading.Event(), threading.Lock(), time.monotonic()
        self._waiting: dict[int, deque[float]] = {}
        self._known: dict[int, int] = {}
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._publish, self._look)]

    def start(self) -> None:
        """Start publishing and looking."""
        for thread in self._threads:
            thread.start()

    def stop_publishing(self) -> None:
        """Stop publishing; published probes are still awaited."""
        self._stop.set()
        self._threads[0].join()

    @property
    def waiting(self) -> int:
        """The number of probes that haven't arrived."""
        with self._lock:
            return sum(map(len, self._waiting.values()))

    @abstractmethod
    def _look(self) -> None:
        """Look for probes and note them; runs in its own thread."""

    def _note(self, place: int, events: int, now: float) -> None:
        """Note that the first `events` probes of a place have arrived; `now`: the monotonic clock."""
        with self._lock:
            waiting = self._waiting.get(place, deque())
            for _ in range(min(events - self._known.get(place, 0), len(waiting))):
                published = waiting.popleft()
                self.seconds.append((published - self._begun, now - published))
            self._known[place] = max(events, self._known.get(place, 0))

    def _place(self, number: int, now: int) -> int:
        """The place at which a probe is counted: its minute (microseconds UTC)."""
        return now // MINUTE * MINUTE

    def _event(self, number: int, now: int) -> dict[str, Any]:
        """The values of a probe's event."""
        return {
            "event_id": f"probe-{number:010d}",
            "event_time": now,
            "user_id": PROBE_USER,
            "page": PROBE_PAGE,
            "country": "AF",
            "amount": 1.0,
        }

    def _publish(self) -> None:
        call = method_of(self._address, "Publisher/Publish", PublishRequest)
        while not self._stop.wait(self.every):
            now = time.time_ns() // 1_000
            payload = _payload(self._form, self._event(self.sent, now))
            with self._lock:
                self._waiting.setdefault(self._place(self.sent, now), deque()).append(time.monotonic())
            call(PublishRequest.pb()(topic=self._topic, messages=[{"data": payload}]))
            self.sent += 1


def method_of(address: str, name: str, request: Any, response: Any = None) -> Callable[..., Any]:
    """A method of Pub/Sub that takes and returns serialized protocol buffers, over its own connection."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    read = response.pb().FromString if response is not None else None
    method: Callable[..., Any] = grpc.insecure_channel(address, options=options).unary_unary(
        f"/google.pubsub.v1.{name}", request_serializer=request.pb().SerializeToString, response_deserializer=read
    )
    return method


def _payload(form: str, event: dict[str, Any]) -> bytes:
    if form == "json":
        return json.dumps(event).encode()
    sink = io.BytesIO()
    fastavro.schemaless_writer(sink, json.loads(SCHEMA_FILE.read_text()), event)
    return sink.getvalue()


def percentiles(values: list[float]) -> dict[str, float | None]:
    """p50, p90, p99 and the maximum, in seconds."""
    if not values:
        return dict.fromkeys(("p50", "p90", "p99", "max"))
    found = np.percentile(np.array(values), (50, 90, 99, 100)).round(3).tolist()
    return dict(zip(("p50", "p90", "p99", "max"), found, strict=True))
