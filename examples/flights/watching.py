"""Watches answers while batch takes over from live: no number of events may fall; and measures how fresh they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tandem.journal.index import JournalIndex
from tandem.journal.reading import read_segment
from tandem.journal.storage.blobs import LocalBlobs
from tandem.schemas.certificate import time_text
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.views.answers.point import series
from tandem.views.report import status_report
from tandem.views.store import ViewStore

__all__ = ["DailyEvents", "Fall", "Freshness", "Look", "Progress", "Watcher", "publish_times"]

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Look:
    """The values of one read of one key."""

    events: Mapping[int, int]
    """Number of events by the start of the answer."""
    boundary: int
    publication: int


@dataclass(frozen=True, slots=True)
class Fall:
    """An answer that lost events."""

    key: str
    start: int
    before: int
    after: int
    publication: int

    def __str__(self) -> str:
        at = f"{self.key} from {time_text(self.start)}"
        return f"{at}: {self.before} events, then {self.after} (publication {self.publication})"


@dataclass(frozen=True, slots=True)
class DailyEvents:
    """Reads every day of one key in one transaction."""

    store: ViewStore
    compiled: CompiledDefinition
    start: int
    end: int
    step: int

    def __call__(self, key: str) -> Look:
        found = series(self.store, self.compiled, key, self.start, self.end, self.step)
        events = {point.start: point.events for point in found.points}
        return Look(events, found.certificate.boundary, found.certificate.publication)


class Watcher:
    """Polls keys in turn, in its own thread, and remembers the greatest number of events of each answer."""

    def __init__(self, read: Callable[[str], Look], keys: Sequence[str], pause: float = 0.08) -> None:
        """`pause`: seconds between two polls."""
        self._read, self._keys, self._pause = read, keys, pause
        self._most: dict[tuple[str, int], int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="watcher")
        self.polls = 0
        self.falls: list[Fall] = []
        self.boundaries: list[int] = []
        """The boundaries that were seen, in order of appearance."""
        self.error: Exception | None = None

    @property
    def watched(self) -> int:
        """Number of different answers that were watched."""
        return len(self._most)

    def poll(self, key: str) -> None:
        """Read one key once."""
        look = self._read(key)
        self.polls += 1
        if not self.boundaries or look.boundary != self.boundaries[-1]:
            self.boundaries.append(look.boundary)
        found = dict(look.events)
        for place, before in self._most.items():
            if place[0] == key and found.setdefault(place[1], 0) < before:
                self.falls.append(Fall(key, place[1], before, found[place[1]], look.publication))
        for start, events in found.items():
            self._most[key, start] = max(events, self._most.get((key, start), 0))

    def poll_all(self) -> None:
        """Read every key once."""
        for key in self._keys:
            self.poll(key)

    def start(self) -> None:
        """Poll until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Stop polling. Raises the exception that ended the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(30)
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                for key in self._keys:
                    if self._stop.wait(self._pause):
                        return
                    self.poll(key)
        except Exception as error:  # handed to the main thread
            self.error = error


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a live run, over all generations."""

    run: str = ""
    received: int = 0
    counted: int = 0
    late: int = 0
    duplicates: int = 0
    dead: int = 0
    filtered: int = 0
    watermark: int | None = None

    @property
    def visible(self) -> int:
        """Messages whose effect answers and certificates show."""
        return self.counted + self.late + self.duplicates + self.dead + self.filtered

    @classmethod
    def read(cls, store: ViewStore, name: str) -> Progress:
        """Of the newest live run; all zero before there is one."""
        runs = status_report(store, name)["live_runs"]
        if not runs:
            return cls()
        totals = list(runs[-1]["generations"].values())
        names = ("received", "counted", "late", "duplicates", "dead", "filtered")
        sums = {count: sum(total[count] for total in totals) for count in names}
        return cls(run=runs[-1]["run"], watermark=runs[-1]["watermark"], **sums)


@dataclass(slots=True)
class Freshness:
    """The number of visible messages over time; with the broker's publish times the delay of each."""

    samples: list[tuple[int, int]] = field(default_factory=list)
    """(wall time in microseconds UTC, messages visible then), ascending."""

    def note(self, visible: int) -> None:
        """Note the number of messages that are visible now."""
        if not self.samples or visible > self.samples[-1][1]:
            self.samples.append((time.time_ns() // 1000, visible))

    def delays(self, published: Int64s) -> Int64s:
        """Microseconds from the publication of each visible message to the first look that showed it.

        `published` ascends. A lane works in order, so the n-th published message is taken as the n-th visible one. A
        delay is never too small, and too great by up to the time between two looks.
        """
        if not self.samples:
            return np.empty(0, np.int64)
        seen_at, visible = (np.array(column, np.int64) for column in zip(*self.samples, strict=True))
        shown = min(int(visible[-1]), len(published))
        first = np.searchsorted(visible, np.arange(1, shown + 1))
        return np.asarray(seen_at[first] - published[:shown], np.int64)


def publish_times(journal: Path) -> Int64s:
    """The broker's publish times of all messages in a journal, ascending, microseconds UTC."""
    blobs = LocalBlobs(str(journal))
    index = JournalIndex(blobs)
    index.refresh()
    columns = [read_segment(blobs, ref).messages.column("publish_time").to_numpy() for ref in index.segments(0)]
    return np.sort(np.concatenate(columns)) if columns else np.empty(0, np.int64)
