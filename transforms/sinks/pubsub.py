"""Publishes messages to Pub/Sub in order, paced by a column of times or without a pause."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt

from tandem.transforms.sinks.topics import TopicWriter, requests

__all__ = ["PublishMessages", "pace"]


def pace(
    times: npt.NDArray[np.int64],
    speed: float,
    tick: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[int, int]]:
    """(start, end) of the due rows, every `tick` seconds: `speed` seconds of `times` (µs) pass in a second."""
    begun, start = clock(), 0
    while start < len(times):
        due = times[0] + (clock() - begun) * speed * 1e6
        end = int(np.searchsorted(times, due, side="right"))
        if end > start:
            yield start, end
            start = end
        if start < len(times):
            sleep(tick)


@dataclass
class PublishMessages(beam.PTransform):  # type: ignore[misc]
    """Publish (payloads, their times) in order, paced by the times or without a pause; the output is the number of
    messages.

    Order is kept within an element only, so messages that must be in order belong in one element.
    """

    topic: TopicWriter
    speed: float | None = None
    """Seconds of the times that pass in a second; None: no pause."""
    tick: float = 0.05
    """Seconds between two checks for due messages."""

    def expand(self, messages: beam.PCollection[tuple[list[bytes], list[int]]]) -> beam.PCollection[int]:
        return messages | "Publish" >> beam.ParDo(_Publish(self.topic, self.speed, self.tick))


class _Publish(beam.DoFn):  # type: ignore[misc]
    def __init__(self, topic: TopicWriter, speed: float | None, tick: float) -> None:
        self._topic = topic
        self._speed = speed
        self._tick = tick
        self._publish: Any = None

    def setup(self) -> None:
        self._publish = self._topic.open()

    def process(self, messages: tuple[list[bytes], list[int]]) -> Iterator[int]:
        payloads, times = messages
        due: Iterator[tuple[int, int]] = iter([(0, len(payloads))])
        if self._speed is not None:
            due = pace(np.array(times, np.int64), self._speed, self._tick)
        for start, end in due:
            for request in requests(payloads[start:end]):
                self._publish(request)
        yield len(payloads)
