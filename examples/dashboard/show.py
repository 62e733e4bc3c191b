"""`make dashboard`: everything on this machine with live data flowing, and its pages at one address, until Ctrl-C.

An hour of page views is a file that a backfill reads. Then views are published as they happen and counted by live; at
an interval a backfill takes over what live has journaled, and reconcile compares both.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sys
import threading
import time
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from examples.dashboard.traffic import SECOND, Traffic
from examples.flights.processes import Processes, TandemProcess, kept_bytecode
from tandem.schemas.errors import TandemError
from tandem.views.report import status_report
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

__all__ = ["Settings", "Show", "main"]

DEFINITION: Final = Path(__file__).parent / "shop.yaml"
TOPIC: Final = "projects/dashboard/topics/shop"
SUBSCRIPTION: Final = "projects/dashboard/subscriptions/shop"
_HISTORY: Final = 3600 * SECOND
_TAIL: Final = 30 * SECOND
"""The end of the history that is published instead of written to the file, since it happens while the processes
start."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The flags of the command line."""

    folder: Path
    port: int
    rate: float
    """Views a second."""
    every: float
    """Seconds from one backfill to the next."""
    seconds: float | None
    """Seconds until the show ends; None: at Ctrl-C."""
    open_it: bool


@dataclass
class Show:
    """One run of the dashboard's demo."""

    settings: Settings
    processes: Processes
    begun: float = field(default_factory=time.monotonic)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Start every process, publish, and backfill until the end. Raises TandemError when a process fails."""
        emulator = self.processes.start("emulator", "emulator", "--port", "0")
        server = self.processes.start("serve", "serve", "--port", str(self.settings.port))
        traffic, until = Traffic(self.settings.rate), time.time_ns() // 1000 - _TAIL
        file = self._history(traffic, until)
        backfill = self.processes.start("backfill-files", "backfill", *_OF, "--files", str(file))
        publisher = self._publisher(emulator)
        address = self._address(server)
        self._say(f"{address}  (batch takes an hour of views in, live is to follow; Ctrl-C ends everything)")
        self.processes.wait(backfill)
        live = ["--subscription", SUBSCRIPTION, "--generation-interval", "10s", "--no-screen"]
        running = self.processes.start("live", "live", *_OF, *live)
        thread = threading.Thread(target=self._publish, args=(publisher, traffic, until), daemon=True)
        thread.start()
        if self.settings.open_it:
            webbrowser.open(address)
        self._wait_for_live()
        try:
            self._go_on(running)
        finally:
            self._stop.set()
            thread.join(30)

    def _history(self, traffic: Traffic, until: int) -> Path:
        path = self.settings.folder / "history.jsonl"
        with path.open("wb") as file:
            for start in range(until - _HISTORY, until, SECOND * 10):
                views = traffic.views(start, start + SECOND * 10)
                file.writelines(view + b"\n" for view in views if b"soon" not in view)
        return path

    def _publisher(self, emulator: TandemProcess) -> Any:
        """Google's own client, as for the real service; creates topic and subscription."""
        pattern = re.compile(r"PUBSUB_EMULATOR_HOST=(\S+)\n")
        found = self.processes.wait_for("the emulator", lambda: pattern.search(emulator.output()), 60)
        os.environ["PUBSUB_EMULATOR_HOST"] = found[1]
        from google.cloud import pubsub_v1

        publisher = pubsub_v1.PublisherClient()
        publisher.create_topic(name=TOPIC)
        with pubsub_v1.SubscriberClient() as subscriber:
            subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
        return publisher

    def _address(self, server: TandemProcess) -> str:
        pattern = re.compile(r"serving at (\S+)")
        return self.processes.wait_for("tandem serve", lambda: pattern.search(server.output()), 60)[1]

    def _wait_for_live(self) -> None:
        """Wait until live has written its first answers."""
        store = open_store(f"sqlite:///{self.settings.folder / 'home' / 'views.db'}")
        self.processes.wait_for("live", lambda: _has_live(store) or None, 120, every=0.5)
        store.close()
        self._say("live data is flowing")

    def _publish(self, publisher: Any, traffic: Traffic, since: int) -> None:
        """Publish views as they happen, three times a second."""
        while not self._stop.wait(0.3):
            now = time.time_ns() // 1000
            for view in traffic.views(since, now):
                publisher.publish(TOPIC, view)
            since = now

    def _go_on(self, live: TandemProcess) -> None:
        """Run a backfill at each interval, and reconcile after every third."""
        ends = None if self.settings.seconds is None else self.begun + self.settings.seconds
        turn = 0
        while ends is None or time.monotonic() < ends:
            self._wait(min(self.settings.every, max((ends or 1e18) - time.monotonic(), 0)))
            turn += 1
            self._batch(f"backfill-{turn}", "backfill", *_OF)
            if turn % 3 == 1:
                self._batch(f"reconcile-{turn}", "reconcile", str(DEFINITION))
            live.check()

    def _batch(self, name: str, *arguments: str) -> None:
        """Run one command of batch; a failure, such as a refusal before live has begun, is printed and doesn't end the
        show.
        """
        process = self.processes.start(name, *arguments)
        while process.running:
            self._wait(0.5)
        if process.process.returncode:
            self._say(f"{name}: {(process.output().strip().splitlines() or ['it failed'])[-1]}")
            self.processes.forget(process)

    def _wait(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.processes.check()
            time.sleep(min(0.5, max(ends - time.monotonic(), 0)))

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self.begun:4.0f} s  {text}", flush=True)


def _has_live(store: ViewStore) -> bool:
    report = status_report(store, "shop")
    return any(sum(each["counted"] for each in run["generations"].values()) for run in report["live_runs"])


_OF: Final = ("--definition", str(DEFINITION))


def _parse(arguments: Sequence[str] | None) -> Settings:
    about = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m examples.dashboard.show", description=about)
    parser.add_argument("--folder", type=Path, default=Path("dashboard-data"), help="where everything is put")
    parser.add_argument("--port", type=int, default=8080, help="of the pages; 0: any")
    parser.add_argument("--rate", type=float, default=40.0, help="views a second")
    parser.add_argument("--every", type=float, default=45.0, help="seconds from one backfill to the next")
    parser.add_argument("--seconds", type=float, help="how long it goes on (default: until Ctrl-C)")
    parser.add_argument("--open", action="store_true", help="open the pages in the browser")
    flags = parser.parse_args(arguments)
    return Settings(flags.folder.absolute(), flags.port, flags.rate, flags.every, flags.seconds, flags.open)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 1 when a process failed, 0 after Ctrl-C."""
    settings = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    for old in ("home", "logs"):
        shutil.rmtree(settings.folder / old, ignore_errors=True)
    settings.folder.mkdir(parents=True, exist_ok=True)
    home = settings.folder / "home"
    environment = {"TANDEM_HOME": str(home), **kept_bytecode(settings.folder / "bytecode")}
    try:
        with Processes(settings.folder / "logs", environment) as processes:
            Show(settings, processes).run()
    except TandemError as error:
        print(f"it failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
