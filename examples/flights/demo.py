"""`make demo`: New York's flights of 2013 through Tandem, on one machine, and every answer held against an oracle.

January to November are files, December is published to Pub/Sub while answers are read. Batch takes over from live again and
again. At the end each answer must equal what DuckDB computes from the raw data, and no number of events may ever have fallen.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Thread
from typing import Any, Final

import numpy as np
import polars as pl
from rich.console import Console

from examples.flights.comparison import Comparison, compare_all
from examples.flights.data import FlightFiles, read_flights, write_files
from examples.flights.oracle import Oracle, raw_csv
from examples.flights.picture import draw, read_steps, write_page
from examples.flights.processes import Processes, TandemProcess
from examples.flights.screen import Board, Screen, read_board, route_name
from examples.flights.watching import DailyEvents, Freshness, Progress, Watcher, publish_times
from journal.blobs import LocalBlobs
from journal.journal_index import JournalIndex
from pipelines.config import Home
from schemas.compiled import CompiledDefinition, compile_definition, key_text
from schemas.definition import load
from schemas.errors import ParityError, TandemError
from views.opening import open_store
from views.store import ViewStore

__all__ = ["Demo", "Settings", "main"]

HERE: Final = Path(__file__).parent
DEFINITION: Final = HERE / "flights.yaml"
TOPIC: Final = "projects/demo/topics/flights"
SUBSCRIPTION: Final = "projects/demo/subscriptions/flights"
DAY: Final = 86_400_000_000
DECEMBER: Final = 1_385_856_000_000_000
"""2013-12-01 in microseconds UTC."""
LOOK_BACK: Final = 28 * DAY
JANUARY: Final = DECEMBER + 31 * DAY


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says."""

    folder: Path
    december_seconds: float
    """How long publishing December takes."""
    generation_seconds: float
    shown: int
    """Airports with carrier on the screen."""


@dataclass
class Demo:
    """One run of the demo, step by step."""

    settings: Settings
    screen: Screen
    processes: Processes
    begun: float = field(default_factory=time.monotonic)
    summary: list[tuple[str, Any]] = field(default_factory=list)

    def run(self) -> None:
        """All of it. Raises TandemError when a process fails, an answer falls, or an answer is wrong."""
        files = self._input()
        self._say("1. January to November: eleven files in four formats, through `tandem backfill`")
        emulator = self.processes.start("emulator", "emulator", "--port", "0")
        backfill = self.processes.start("backfill-files", *self._backfill(*map(str, files.history)))
        self._topic(emulator)
        self._wait(backfill, "backfill")
        self._say("2. December: published to Pub/Sub in the order in which flights became known, while `tandem live` runs")
        with_live = _December(self, files.december)
        with_live.run()
        self._say("3. Live has ended. Every answer from December on, of batch and live merged, against DuckDB")
        hybrid = self._compare("batch and live", DECEMBER)
        self._say("4. A last backfill, then every answer of the year against DuckDB")
        self._wait(self.processes.start("backfill-last", *self._backfill()), "backfill")
        with_live.finish()
        final = self._compare("every answer", None)
        self._report(with_live, hybrid, final)

    @cached_property
    def compiled(self) -> CompiledDefinition:
        """The definition, ready to be asked."""
        return compile_definition(load(DEFINITION))

    @cached_property
    def home(self) -> Home:
        """Where the demo's Tandem keeps what it knows."""
        return Home.at(str(self.settings.folder / "home"))

    @cached_property
    def store(self) -> ViewStore:
        """The view store, which the processes write."""
        return open_store(self.home.store)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """All keys, those with the most flights first."""
        routes = read_flights().group_by("origin", "carrier").len().sort("len", "origin", descending=True)
        return tuple(key_text(self.compiled, [origin, carrier]) for origin, carrier, _ in routes.iter_rows())

    @cached_property
    def oracle(self) -> Oracle:
        """DuckDB over the raw data."""
        return Oracle(raw_csv(self.settings.folder / "input"))

    def _say(self, text: str) -> None:
        self.screen.clear()
        self.screen.say(f"[bold]{text}[/bold]  [dim]{time.monotonic() - self.begun:.0f} s[/dim]")

    def _input(self) -> FlightFiles:
        folder = self.settings.folder
        for old in ("home", "logs"):
            shutil.rmtree(folder / old, ignore_errors=True)
        (folder / "logs").mkdir(parents=True)
        return write_files(folder / "input", HERE / "flights.avsc")

    def _backfill(self, *files: str) -> list[str]:
        flags = ["backfill", "--definition", str(DEFINITION)]
        for file in files:
            flags += ["--files", file]
        return flags

    def _topic(self, emulator: TandemProcess) -> None:
        """Create topic and subscription with Google's own client, as for the real service."""
        pattern = re.compile(r"PUBSUB_EMULATOR_HOST=(\S+)")
        found = self.processes.wait_for("the emulator", lambda: pattern.search(emulator.output()), 60)
        os.environ["PUBSUB_EMULATOR_HOST"] = found[1]
        from google.cloud import pubsub_v1

        with pubsub_v1.PublisherClient() as publisher, pubsub_v1.SubscriberClient() as subscriber:
            publisher.create_topic(name=TOPIC)
            subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)

    def _wait(self, process: TandemProcess, last_line_of: str) -> None:
        self.processes.wait_for(process.name, lambda: None if process.running else True, 600)
        process.check()
        self.screen.say("\n".join(f"   {last_line_of}: {line}" for line in process.output().strip().splitlines()))

    def _compare(self, what: str, since: int | None) -> Comparison:
        begun = time.monotonic()
        result = compare_all(self.store, self.compiled, self.oracle, since)
        parts = ", ".join(f"{count:,} {name}" for name, count in result.by_windows.items())
        waiting = f"; {result.waiting:,} wait for late events and lack exactly those" if result.waiting else ""
        live = f" ({result.with_live:,} of them with live events)" if result.with_live else ""
        self.screen.say(
            f"   compared {result.compared:,} answers{live}, {result.values:,} values: {result.equal:,} equal{waiting}\n"
            f"   ({parts}; {time.monotonic() - begun:.0f} s)"
        )
        if not result.all_equal:
            differences = "\n".join(f"    {difference}" for difference in result.differences)
            raise ParityError(
                f"{what}: {result.compared - result.equal:,} of {result.compared:,} answers differ:\n{differences}"
            )
        return result

    def _report(self, december: _December, hybrid: Comparison, final: Comparison) -> None:
        page = self.settings.folder / "report.html"
        self.summary = [
            *december.summary(),
            ("compared while live", f"{hybrid.compared:,} answers, equal: {hybrid.equal:,} ({hybrid.with_live:,} with live)"),
            ("compared at the end", f"{final.compared:,} answers, {final.values:,} values, equal: {final.equal:,}"),
            ("whole demo", f"{time.monotonic() - self.begun:.0f} s"),
        ]
        write_page(page, december.picture, "Tandem: the flights of 2013", self.summary)
        self._say("All equal.")
        for name, value in (*self.summary, ("picture", december.picture), ("report", page)):
            self.screen.say(f"   {name:22} {value}")


class _December:
    """The live part: publish, live, backfills, watching, the screen and the picture."""

    def __init__(self, demo: Demo, december: Path) -> None:
        self._demo, self._file = demo, december
        times = pl.read_ndjson(december).get_column("known_at").str.to_datetime(time_unit="us", time_zone="UTC")
        self._known = np.sort(times.to_physical().to_numpy())
        self._fresh = Freshness()
        self._progress = Progress()
        read = DailyEvents(demo.store, demo.compiled, DECEMBER - LOOK_BACK, JANUARY + 2 * DAY, DAY)
        self._watcher = Watcher(read, demo.keys)
        self._index: JournalIndex | None = None
        self._backfills: list[TandemProcess] = []
        self._covered = 0
        self._first_answer = 0.0
        self.picture = demo.settings.folder / "flights.png"
        self.picture.unlink(missing_ok=True)

    def run(self) -> None:
        """From the first message to the end of live."""
        demo, settings = self._demo, self._demo.settings
        speed = float(self._known[-1] - self._known[0]) / 1e6 / settings.december_seconds
        live = demo.processes.start(
            "live", "live", "--definition", str(DEFINITION), "--subscription", SUBSCRIPTION, "--until-idle", "11s",
            "--generation-interval", f"{round(settings.generation_seconds * 1000)}ms", "--no-screen",
        )  # fmt: skip
        # Both start up at once: live counts its idle time from its first pull.
        demo.processes.start(
            "publish", "publish", "--definition", str(DEFINITION), "--files", str(self._file), "--topic", TOPIC,
            "--order-by", "known_at", "--speed", f"{speed:.0f}",
        )  # fmt: skip
        self._watcher.start()
        looker = Thread(target=self._look_often, args=(live,), daemon=True)
        looker.start()
        while live.running:
            demo.processes.check()
            self._step(live)
            time.sleep(0.3)
        demo.processes.check()
        looker.join(10)
        for backfill in self._backfills:
            demo._wait(backfill, backfill.name)

    def finish(self) -> None:
        """After the last backfill: a last look at everything. Raises ParityError if any answer ever fell."""
        self._watcher.stop()
        self._watcher.poll_all()
        if self._watcher.falls:
            falls = "\n".join(f"    {fall}" for fall in self._watcher.falls[:10])
            raise ParityError(f"{len(self._watcher.falls)} answers lost events:\n{falls}")
        if len(self._watcher.boundaries) < 3:
            raise ParityError(f"batch never took over while live ran: boundaries {self._watcher.boundaries}")
        if not self.picture.exists():
            self._draw(self._now())

    def _look_often(self, live: TandemProcess) -> None:
        while live.running:
            self._look(live)
            time.sleep(0.1)

    def _look(self, live: TandemProcess) -> None:
        self._progress = Progress.read(self._demo.store, self._demo.compiled.definition.name)
        self._fresh.note(self._progress.visible)
        if self._progress.counted and not self._first_answer:
            self._first_answer = time.monotonic() - live.started

    def _step(self, live: TandemProcess) -> None:
        """One round: a backfill if there is something for it, the screen, the picture when it is time."""
        demo = self._demo
        running = bool(self._backfills) and self._backfills[-1].running
        share = self._progress.visible / len(self._known)
        # Not near the end: live is to hold enough of its own when the merged answers are compared.
        if not running and share < 0.75 and self._sealed() > self._covered:
            self._covered = self._sealed()
            name = f"backfill-{len(self._backfills) + 1}"
            self._backfills.append(demo.processes.start(name, *demo._backfill()))
        doing = f"{self._backfills[-1].name}, live" if running else "live"
        if self._progress.visible:
            demo.screen.show(self._board(doing))
        if not self.picture.exists() and share > 0.6 and len(self._watcher.boundaries) > 2:
            self._draw(self._now())

    def _sealed(self) -> int:
        journal = Path(self._demo.home.journal)
        if not journal.is_dir():
            return 0
        self._index = self._index or JournalIndex(LocalBlobs(str(journal)))
        self._index.refresh()
        return self._index.sealed

    def _now(self) -> int:
        """The replay's time: when the latest visible flight became known."""
        return int(self._known[min(max(self._progress.visible, 1), len(self._known)) - 1])

    def _board(self, doing: str) -> Board:
        demo, progress = self._demo, self._progress
        return read_board(
            demo.store,
            demo.compiled,
            demo.keys[: demo.settings.shown if demo.screen.console.is_terminal else 1],
            self._now(),
            published=len(self._known),
            messages=len(self._known),
            visible=progress.visible,
            late=progress.late,
            polls=self._watcher.polls,
            falls=len(self._watcher.falls),
            doing=doing,
        )

    def _draw(self, now: int) -> None:
        key = key_text(self._demo.compiled, ["JFK", "B6"])
        steps = read_steps(self._demo.store, self._demo.compiled, key, DECEMBER - 10 * DAY, JANUARY, now)
        draw(steps, self.picture, route_name(key))

    def summary(self) -> list[tuple[str, Any]]:
        """What there is to tell of it."""
        watcher, progress = self._watcher, self._progress
        delays = self._fresh.delays(publish_times(Path(self._demo.home.journal))) / 1e6
        median, most = np.percentile(delays, [50, 95]) if len(delays) else (float("nan"), float("nan"))
        moves = " -> ".join(map(str, watcher.boundaries))
        return [
            ("flights", f"{self._demo.oracle.flights:,}: {len(self._known):,} live, the others from files"),
            ("late for live", f"{progress.late}, counted by batch"),
            ("boundary moved", f"{len(watcher.boundaries) - 1} times: {moves}"),
            ("watched", f"{watcher.watched:,} answers in {watcher.polls:,} reads; events fell: {len(watcher.falls)}"),
            ("first live answer", f"{self._first_answer:.1f} s after `tandem live` was started"),
            ("published to visible", f"median {median:.1f} s, 95% within {most:.1f} s"),
        ]


def _parse(arguments: Sequence[str] | None) -> Settings:
    parser = argparse.ArgumentParser(prog="python -m examples.flights.demo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("demo-data"), help="where everything is put")
    parser.add_argument("--seconds", type=float, default=36.0, help="how long publishing December takes")
    parser.add_argument("--generation-interval", type=float, default=6.0, help="seconds")
    parser.add_argument("--rows", type=int, default=8, help="airports with carrier on the screen")
    flags = parser.parse_args(arguments)
    return Settings(flags.folder.absolute(), flags.seconds, flags.generation_interval, flags.rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; its exit code is 1 when anything failed or differed, 130 after Ctrl-C."""
    settings, console = _parse(arguments), Console()
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        environment = {"TANDEM_HOME": str(settings.folder / "home")}
        with Processes(settings.folder / "logs", environment) as processes, Screen(console) as screen:
            Demo(settings, screen, processes).run()
    except TandemError as error:
        console.print(f"the demo failed: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("stopped", style="red")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
