"""The live part of the demo: December is published, live runs, backfills take over, a watcher reads every answer.

Publishing waits three times until live has judged all events up to then, so the story of alerts is the same in each
run.
"""

from __future__ import annotations

import time
from pathlib import Path
from threading import Thread
from typing import Any, Final

import numpy as np
import polars as pl

from examples.flights.alerts import STORY, StoryAlert
from examples.flights.installation import TOPIC, Installation
from examples.flights.picture import draw, read_steps
from examples.flights.processes import Processes, ProcessFailedError, TandemProcess
from examples.flights.screen import Board, Screen, read_board, route_name
from examples.flights.watching import DailyEvents, Freshness, Progress, Watcher, publish_times
from tandem.journal.index import JournalIndex
from tandem.journal.storage.blobs import LocalBlobs
from tandem.schemas.definition.compiled import key_text
from tandem.schemas.errors import ParityError
from tandem.transforms.sinks.topics import TopicWriter

__all__ = ["BEGIN", "December"]

DAY: Final = 86_400_000_000
BEGIN: Final = 1_385_856_000_000_000
"""2013-12-01 in microseconds UTC."""
END: Final = BEGIN + 31 * DAY
LOOK_BACK: Final = 28 * DAY
_LAST_TAKEOVER: Final = 0.75
"""Share of December after which no backfill starts: live must still hold events when answers are compared."""
_PICTURE_AT: Final = 0.6
_IN_ONE: Final = 500
"""Messages of one request."""
_TIME_LIMIT: Final = 300.0
"""Seconds that live may take longer than publishing."""


class December:
    """The live part, from the first message to the last backfill."""

    def __init__(self, installation: Installation, processes: Processes, screen: Screen, file: Path, rows: int) -> None:
        """`file`: December's flights, `rows`: keys on the screen."""
        self._installation, self._processes, self._screen = installation, processes, screen
        self._file, self._shown = file, installation.keys[: rows if screen.console.is_terminal else 1]
        times = pl.read_ndjson(file).get_column("known_at").str.to_datetime(time_unit="us", time_zone="UTC")
        self._known = np.sort(times.to_physical().to_numpy())
        self.raised: dict[StoryAlert, str] = {}
        """The ids of alerts that live raised while publishing waited."""
        self._name = installation.compiled.definition.name
        read = DailyEvents(installation.store, installation.compiled, BEGIN - LOOK_BACK, END + 2 * DAY, DAY)
        self._watcher = Watcher(read, installation.keys)
        self._fresh, self._progress = Freshness(), Progress()
        self._index: JournalIndex | None = None
        self._backfills: list[TandemProcess] = []
        self._taken_over = 0
        self._first_answer = 0.0
        self._moves_while_live = 0
        self.picture = installation.folder / "flights.png"
        self.picture.unlink(missing_ok=True)

    def run(self, seconds: float, generation_seconds: float) -> None:
        """Publish within so many seconds, then wait until live ends. Raises ProcessFailedError."""
        live = self._processes.start("live", *self._installation.live(generation_seconds))
        self._watcher.start()
        looking = Thread(target=self._look_often, args=(live,), daemon=True, name="progress")
        looking.start()
        published = self._publish_up_to_alerts(live.started + _TIME_LIMIT)
        speed = float(self._known[-1] - self._known[published]) / 1e6 / seconds
        publish = self._processes.start("publish", *self._installation.publish(self._rest(published), speed))
        stopping, deadline = False, live.started + seconds + _TIME_LIMIT
        while live.running:
            self._processes.check()
            self._step()
            if not stopping and not publish.running and self._progress.visible >= len(self._known):
                stopping = True
                self._processes.start("stop", "stop")
            if time.monotonic() > deadline:
                raise ProcessFailedError(f"live hasn't ended: {self._state}")
            time.sleep(0.3)
        self._processes.check()
        looking.join(10)
        if self._progress.visible < len(self._known):
            raise ProcessFailedError(f"live ended too early: {self._state}")
        self._moves_while_live = len(self._watcher.boundaries) - 1
        for backfill in self._backfills:
            self._screen.wait_for(self._processes, backfill)
        if not self.picture.exists():
            self._draw()

    def _publish_up_to_alerts(self, deadline: float) -> int:
        """Publish up to each pause of the story and wait for its alert; returns the number of messages."""
        lines, published = self._file.read_bytes().splitlines(), 0
        publish = TopicWriter(TOPIC).open()
        for alert in STORY:
            until = int(np.searchsorted(self._known, alert.pause, side="right"))
            for at in range(published, until, _IN_ONE):
                publish(lines[at : min(at + _IN_ONE, until)])
            published = until
            while self._progress.visible < published or (alert.is_raised_by_live and not self._is_raised(alert)):
                self._processes.check()
                self._step(takes_over=False)
                if time.monotonic() > deadline:
                    raise ProcessFailedError(f"waited in vain for {alert.rule} of {alert.carrier}: {self._state}")
                time.sleep(0.3)
        return published

    def _is_raised(self, alert: StoryAlert) -> bool:
        row = alert.found(self._installation)
        if row is not None:
            self.raised[alert] = row.id
        return row is not None

    def _rest(self, published: int) -> Path:
        """A file of the messages that aren't published yet."""
        path = self._installation.folder / "december-rest.jsonl"
        path.write_bytes(b"\n".join(self._file.read_bytes().splitlines()[published:]) + b"\n")
        return path

    def finish(self) -> None:
        """After the last backfill: read every answer once more. Raises ParityError if an answer ever lost events."""
        self._watcher.stop()
        self._watcher.poll_all()
        if self._watcher.falls:
            falls = "\n".join(f"    {fall}" for fall in self._watcher.falls[:10])
            raise ParityError(f"answers lost events {len(self._watcher.falls)} times:\n{falls}")

    def summary(self) -> list[tuple[str, Any]]:
        """The figures of this part, by name."""
        watcher, progress = self._watcher, self._progress
        delays = self._fresh.delays(publish_times(self._installation.home / "journal")) / 1e6
        median, most = np.percentile(delays, [50, 95]) if len(delays) else (float("nan"), float("nan"))
        soon = f", {delays[0]:.1f} s after the first message" if len(delays) else ""
        moves = " -> ".join(map(str, watcher.boundaries))
        return [
            ("December", f"{progress.received:,} messages, {progress.late} of them too late for live, left to batch"),
            (
                "boundary moved",
                f"{len(watcher.boundaries) - 1} times, {self._moves_while_live} of them under live: {moves}",
            ),
            ("watched", f"{watcher.watched:,} answers in {watcher.polls:,} reads; lost events: {len(watcher.falls)}"),
            ("first live answer", f"{self._first_answer:.1f} s after `tandem live` was started{soon}"),
            ("published to visible", f"median {median:.1f} s, 95% within {most:.1f} s"),
        ]

    @property
    def _state(self) -> str:
        return f"{self._progress.visible:,} of {len(self._known):,} messages are visible"

    def _look_often(self, live: TandemProcess) -> None:
        while live.running:
            self._progress = Progress.read(self._installation.store, self._name)
            self._fresh.note(self._progress.visible)
            if self._progress.counted and not self._first_answer:
                self._first_answer = time.monotonic() - live.started
            time.sleep(0.1)

    def _step(self, takes_over: bool = True) -> None:
        """One round: a backfill if a generation was sealed, the screen, and the picture once it is due."""
        running = bool(self._backfills) and self._backfills[-1].running
        share = self._progress.visible / len(self._known)
        if takes_over and not running and share < _LAST_TAKEOVER and (sealed := self._sealed()) > self._taken_over:
            self._taken_over = sealed
            name = f"backfill-{len(self._backfills) + 1}"
            self._backfills.append(self._processes.start(name, *self._installation.backfill()))
        if self._progress.visible:
            self._screen.show(self._board(f"{self._backfills[-1].name}, live" if running else "live"))
        if not self.picture.exists() and share > _PICTURE_AT and len(self._watcher.boundaries) > 1:
            self._draw()

    def _sealed(self) -> int:
        """The last sealed generation that holds messages and wasn't taken over; 0 for none."""
        journal = self._installation.home / "journal"
        if not journal.is_dir():
            return 0
        self._index = self._index or JournalIndex(LocalBlobs(str(journal)))
        self._index.refresh()
        fresh = self._index.segments(self._taken_over, self._index.sealed)
        return max((segment.generation for segment in fresh), default=0)

    def _now(self) -> int:
        """The replay's time: when the latest visible flight became known."""
        return int(self._known[min(max(self._progress.visible, 1), len(self._known)) - 1])

    def _board(self, doing: str) -> Board:
        return read_board(
            self._installation.store,
            self._installation.compiled,
            self._shown,
            self._now(),
            messages=len(self._known),
            visible=self._progress.visible,
            late=self._progress.late,
            polls=self._watcher.polls,
            falls=len(self._watcher.falls),
            doing=doing,
        )

    def _draw(self) -> None:
        key = key_text(self._installation.compiled, ["JFK", "B6"])
        store, compiled = self._installation.store, self._installation.compiled
        self._progress = Progress.read(store, self._name)
        draw(read_steps(store, compiled, key, BEGIN - 10 * DAY, END, self._now()), self.picture, route_name(key))
