"""`make demo`: New York's flights of 2013 through Tandem, on one machine, and every answer held against an oracle.

January to November are files, December is published to Pub/Sub while answers are read. Batch takes over from live
several times. At the end each answer must equal what DuckDB computes from the raw data, no number of events may ever
have fallen, and the alerts must be those of a backtest: three of them show how one that fired early is confirmed, how
batch withdraws one, and raises one late.
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
from pathlib import Path
from typing import Final

from rich.console import Console

from examples.flights.alerts import STORY, backtested, compare_alerts, sent_states, settled_to
from examples.flights.comparison import Comparison, windows_of
from examples.flights.december import BEGIN, December
from examples.flights.installation import SUBSCRIPTION, TOPIC, Installation
from examples.flights.picture import draw_alerts, write_page
from examples.flights.processes import Processes, TandemProcess, kept_bytecode
from examples.flights.screen import Screen
from tandem.schemas.certificate import time_text
from tandem.schemas.errors import ParityError, TandemError

__all__ = ["Demo", "Settings", "main"]

COMPARISON: Final = (sys.executable, "-m", "examples.flights.comparison")


@dataclass(frozen=True, slots=True)
class Settings:
    """The flags of the command line."""

    folder: Path
    seconds: float
    """Seconds in which December is published."""
    generation_seconds: float
    rows: int
    """Rows on the screen, each an airport and carrier."""


@dataclass
class Demo:
    """One run of the demo, step by step."""

    settings: Settings
    installation: Installation
    processes: Processes
    screen: Screen
    begun: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Run every step. Raises TandemError when a process fails, an answer loses events, or an answer is wrong."""
        emulator = self.processes.start("emulator", "emulator", "--port", "0")
        files = self.installation.write_input()
        self._say("1. January to November: eleven files of four formats, through `tandem backfill`")
        backfill = self.processes.start("backfill-files", *self.installation.backfill(*files.history))
        self._create_topic(emulator)
        self.screen.wait_for(self.processes, backfill)
        self._say("2. December: published in the order in which flights became known, and `tandem live`")
        december = December(self.installation, self.processes, self.screen, files.december, self.settings.rows)
        december.run(self.settings.seconds, self.settings.generation_seconds)
        self._say("3. Live has ended: answers of batch and live merged, against DuckDB over the raw data")
        hybrid = self._compare("december", BEGIN)
        self._say("4. A last backfill, then every answer of the year against DuckDB")
        self.screen.wait_for(self.processes, self.processes.start("backfill-last", *self.installation.backfill()))
        until = settled_to(self.installation)
        backtest = self.processes.start("backtest", *self.installation.backtest(until, *files.history))
        december.finish()
        year = self._compare("year", None)
        self._say("5. Alerts of live and batch, against a backtest of files and journal")
        alerts = self._check_alerts(december, self.processes.wait(backtest))
        self._report(december, hybrid, year, alerts)

    def _say(self, text: str) -> None:
        self.screen.say(f"[bold]{text}[/bold]  [dim]{time.monotonic() - self.begun:.0f} s[/dim]")

    def _create_topic(self, emulator: TandemProcess) -> None:
        """Create topic and subscription with Google's own client, as for the real service."""
        pattern = re.compile(r"PUBSUB_EMULATOR_HOST=(\S+)\n")
        found = self.processes.wait_for("the emulator", lambda: pattern.search(emulator.output()), 60)
        # Google's client takes it from the environment, and so do the commands started from now on.
        os.environ["PUBSUB_EMULATOR_HOST"] = found[1]
        from google.cloud import pubsub_v1

        with pubsub_v1.PublisherClient() as publisher, pubsub_v1.SubscriberClient() as subscriber:
            publisher.create_topic(name=TOPIC)
            subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)

    def _compare(self, what: str, since: int | None) -> Comparison:
        """Compare in two processes, sliding windows and fixed ones. Raises ParityError unless all answers are equal."""
        begun, result = time.monotonic(), Comparison()
        flags = ["--store", self.installation.store_url, "--input", str(self.installation.input)]
        flags += ["--since", str(since)] if since is not None else []
        names = {w.name: w.slides for w in windows_of(self.installation.compiled)}
        parts = []
        for sliding in (True, False):
            chosen = [f"--windows={name}" for name, slides in names.items() if slides is sliding]
            log = f"comparison-{what}-{'sliding' if sliding else 'fixed'}"
            parts.append(self.processes.start(log, *flags, *chosen, command=COMPARISON))
        for part in parts:
            result.merge(Comparison.from_json(self.processes.wait(part).splitlines()[-1]))
        for text in (*result.lines(), f"({time.monotonic() - begun:.0f} s)"):
            self.screen.say(f"   {text}")
        if not result.all_equal:
            first = "\n".join(f"    {difference}" for difference in result.differences)
            raise ParityError(f"{result.compared - result.equal:,} of {result.compared:,} answers differ:\n{first}")
        return result

    def _check_alerts(self, december: December, output: str) -> str:
        """Raises ParityError unless the story's alerts have their known ends, and all alerts are the backtest's."""
        series = []
        for alert in STORY:
            self.screen.say(f"   {alert.title}")
            self.screen.say(f"      {alert.rule} of {alert.carrier} from {alert.origin}, {time_text(alert.hour)}")
            for text in alert.check(self.installation, december.raised.get(alert)):
                self.screen.say(f"      {text}")
            series.append((f"{alert.carrier} from {alert.origin}: {alert.title}", alert.series(self.installation)))
        draw_alerts(series, self.installation.folder / "alerts.png")
        logs = sorted((self.installation.folder / "logs").glob("*.log"))
        found = compare_alerts(self.installation, backtested(self.installation, output), sent_states(logs))
        states = ", ".join(f"{count} {state.lower().replace('_', ' ')}" for state, count in found.states.items())
        return f"{found.equal} settled up to {time_text(found.settled_to)}, equal to the backtest's; {states}"

    def _report(self, december: December, hybrid: Comparison, year: Comparison, alerts: str) -> None:
        page = self.installation.folder / "report.html"
        live = f"{hybrid.compared:,} answers ({hybrid.with_live:,} with live events), equal: {hybrid.equal:,}"
        summary = [
            *december.summary(),
            ("merged answers", live),
            ("answers of the year", f"{year.compared:,} ({year.values:,} values), equal: {year.equal:,}"),
            ("alerts", alerts),
            ("whole demo", f"{time.monotonic() - self.begun:.0f} s"),
        ]
        drawn = self.installation.folder / "alerts.png"
        pictures = {
            "Bars of flights a day and an hour, batch and live parts told apart": december.picture,
            "Three series of an hour's flights over the band of what is usual, with their alerts": drawn,
        }
        write_page(page, pictures, "Tandem: the flights of 2013", summary)
        self._say("All equal.")
        shown = (*summary, ("picture", december.picture), ("picture of alerts", drawn), ("report", page))
        for name, value in shown:
            self.screen.say(f"   {name:22} {value}")
        self.screen.say("`make dashboard` shows live data and its answers in a browser.")


def _parse(arguments: Sequence[str] | None) -> Settings:
    parser = argparse.ArgumentParser(prog="python -m examples.flights.demo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("demo-data"), help="where everything is put")
    parser.add_argument("--seconds", type=float, default=36.0, help="how long publishing December takes")
    parser.add_argument("--generation-interval", type=float, default=6.0, help="seconds")
    parser.add_argument("--rows", type=int, default=8, help="airports with carrier on the screen")
    flags = parser.parse_args(arguments)
    return Settings(flags.folder.absolute(), flags.seconds, flags.generation_interval, flags.rows)


def _prepare(folder: Path) -> Installation:
    for old in ("home", "logs"):
        shutil.rmtree(folder / old, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return Installation(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; its exit code is 1 when anything failed or differed, 130 after Ctrl-C."""
    settings, console = _parse(arguments), Console()
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    installation = _prepare(settings.folder)
    environment = {"TANDEM_HOME": str(installation.home), **kept_bytecode(settings.folder / "bytecode")}
    try:
        with Processes(settings.folder / "logs", environment) as processes, Screen(console) as screen:
            Demo(settings, installation, processes, screen).run()
    except TandemError as error:
        console.print(f"the demo failed: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("stopped", style="red")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
