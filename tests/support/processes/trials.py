"""Live, killed again and again while events arrive and answers are read; and what is found wrong at the end."""

from __future__ import annotations

import random
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from breaking.process_breaks import broken
from samples.click_traffic import CLICKS, Publisher, Results, expected, rounded

from processes.stages import Poller, Stage, Tandem, wait_for
from tandem.schemas.failpoints import FAILPOINT_VARIABLE

__all__ = [
    "LAYER_THRESHOLDS",
    "LIVE",
    "SHARDS",
    "Kill",
    "Trial",
    "conclude",
    "differences",
    "is_refused",
    "restart_times",
    "trial_of",
    "wrong_polls",
]

SHARDS = ("--shards", "4")
LIVE = ("--lanes", "2", *SHARDS, "--generation-interval", "3s", "--max-messages", "500")
LAYER_THRESHOLDS = ("0", "20000", "never")
"""Backfills take them by turns: states in files lie over states in rows, and below them."""
REFUSALS = ("error: clicks: ", "error: nothing to read")
ATTEMPTS = 4


@dataclass(frozen=True)
class Kill:
    """How one start of live ends."""

    failpoint: str | None = None
    """It kills itself at the nth time that it reaches this instant."""
    nth: int = 1
    after: float = 0.0
    """Else: it is killed after so many seconds."""
    fresh: bool = False
    """Of its first fresh answer, not of its start."""
    broken: str = ""
    """Live is broken on purpose so; see process_breaks."""
    backfill: str = ""
    """'first': one is run to its end before; 'during': it is begun before, and goes on; 'killed': and is killed too;
    'INSTANT:NTH': one kills itself there before."""


def is_refused(process: Tandem) -> bool:
    """Whether a backfill that has ended was refused in one line: nothing is lost by that, the next one does it."""
    lines = process.said().splitlines() or [""]
    return process.end() in (1, 2) and lines[-1].startswith(REFUSALS) and "Traceback" not in process.said()


@dataclass
class Trial:
    """Runs kills, one after the other."""

    stage: Stage
    poller: Poller
    flags: tuple[str, ...] = LIVE
    restarts: list[float] = field(default_factory=list)
    """Seconds from each start to its first fresh answer."""
    published: int = 0
    """Backfills that were published in between."""
    refused: int = 0
    """Backfills that were refused."""
    definition: Path = CLICKS
    turns: Iterator[str] = field(default_factory=lambda: cycle(LAYER_THRESHOLDS))
    """Thresholds of backfills."""
    _backfills: list[Tandem] = field(default_factory=list)

    def run(self, kill: Kill) -> None:
        """Start live, and see it die."""
        before = self.poller.total
        environment = broken(kill.broken) if kill.broken else {}
        if kill.failpoint:
            environment[FAILPOINT_VARIABLE] = f"{kill.failpoint}:{kill.nth}"
        live = self.stage.live([self.definition], *self.flags, env=environment)
        if kill.failpoint:
            assert live.end() == -signal.SIGKILL, f"{kill}: it ended otherwise:\n{live.said()}"
        else:
            self._kill(live, kill, before)
        # its runner must not go on without it
        wait_for(f"{kill}: all that it started ends too", live.group_is_gone)

    def settle(self) -> None:
        """The backfills have ended; one that was too early, or whose live run was killed, was refused in one line."""
        for backfill in self._backfills:
            self._note(backfill)

    def _kill(self, live: Tandem, kill: Kill, before: int) -> None:
        background = None
        if kill.backfill in ("during", "killed"):
            background = self._backfill("--publish-wait", "15s")
        if kill.backfill == "during" and background is not None:
            self._backfills.append(background)
        if kill.fresh:
            self._fresh(live, kill, before)
        if kill.backfill == "first":
            self._publish()
        elif ":" in kill.backfill:
            self._kill_backfill(kill.backfill)
        time.sleep(kill.after)
        assert live.process.poll() is None, f"live ended by itself: {live.said()}"
        live.kill()
        if kill.backfill == "killed" and background is not None:
            background.kill()

    def _fresh(self, live: Tandem, kill: Kill, before: int) -> None:
        wait_for(
            f"{kill}: a fresh answer after {before} events; live says:\n{live.said()}",
            lambda: self.poller.total > before or live.process.poll() is not None or self.poller.error,
        )
        self.restarts.append(time.monotonic() - live.started)

    def _publish(self) -> None:
        """One backfill to its end; refused ones are called again, as users do."""
        for _ in range(ATTEMPTS):
            if self._note(self._backfill()):
                return

    def _kill_backfill(self, instant: str) -> None:
        for _ in range(ATTEMPTS):
            threshold = "0" if instant.startswith("layer") else next(self.turns)
            backfill = self._backfill(threshold=threshold, env={FAILPOINT_VARIABLE: instant})
            if backfill.end() == -signal.SIGKILL:
                return
            self._note(backfill)

    def _backfill(self, *flags: str, threshold: str | None = None, env: dict[str, str] | None = None) -> Tandem:
        layers = ("--layer-threshold", threshold or next(self.turns))
        return self.stage.start("backfill", "--definition", str(self.definition), *SHARDS, *layers, *flags, env=env)

    def _note(self, backfill: Tandem) -> bool:
        code = backfill.end()
        assert code == 0 or is_refused(backfill), f"exit code {code}:\n{backfill.said()}"
        self.published += code == 0
        self.refused += code != 0
        return code == 0


def restart_times(restarts: Sequence[float]) -> str:
    """Median and 95th percentile, for people."""
    times = sorted(restarts)
    if not times:
        return "restart to fresh answer: none measured"
    p95 = times[min(len(times) - 1, round(0.95 * (len(times) - 1)))]
    return f"restart to fresh answer p50 {statistics.median(times):.1f} s, p95 {p95:.1f} s ({len(times)} restarts)"


def differences(found: Results, wanted: Results) -> dict[str, Any]:
    """How two sets of answers differ: empty when they don't."""
    lost = sum(max(0, w["clicks"] - found.get(p, {"clicks": 0})["clicks"]) for p, w in wanted.items())
    twice = sum(max(0, f["clicks"] - wanted.get(p, {"clicks": 0})["clicks"]) for p, f in found.items())
    unequal = {
        place: (found[place], wanted[place]) for place in wanted.keys() & found.keys() if found[place] != wanted[place]
    }
    report = {
        "lost": lost,
        "twice": twice,
        "extra": len(found.keys() - wanted.keys()),
        "unequal": list(unequal.items())[:3],
    }
    return {name: value for name, value in report.items() if value}


def conclude(
    stage: Stage, messages: Sequence[bytes], sent: int, *, idle: bool = True, definition: Path = CLICKS
) -> dict[str, Any]:
    """Read the rest, then let batch cover all. What is wrong with it all, by name; nothing when all is well.

    `idle`: wait until the leases of dead readers have run out, too; else only until the journal has all that was sent.
    """
    view, found = stage.view(definition), dict[str, Any]()
    if idle:
        live = stage.live([definition], *LIVE, "--until-idle", "11s")
    else:
        live = stage.live([definition], *LIVE)
        # Before it has said so, its run isn't there, and SIGTERM ends it like any process that is starting.
        wait_for("the run has started", lambda: "run" in live.said() or live.has_ended())
        # Copies of messages that it has may still be on their way, or leased to a reader that is dead.
        wait_for("all that was sent is in the journal", lambda: stage.has_journaled(messages, sent) or live.has_ended())
        live.process.terminate()
    for name in ("live", "backfill"):
        layers = ("--layer-threshold", "0")
        process = live if name == "live" else stage.start("backfill", "--definition", str(definition), *SHARDS, *layers)
        if process.end() != 0 or "Traceback" in process.said():
            found[f"{name} ended with {process.end()}"] = process.said()
        if view.served is None:
            return found | {"served": "nothing"}
        if unbalanced := view.unbalanced():
            found[f"residues after {name}"] = unbalanced
    found |= differences(rounded(view.results()), expected(messages))
    if view.received_by_batch() < sent:
        found["received"] = f"{view.received_by_batch()} of {sent}"
    return found


def wrong_polls(poller: Poller, messages: Sequence[bytes]) -> dict[str, Any]:
    """Where an answer had fewer events than before at some time, or more than there are."""
    poller.stop()
    found: dict[str, Any] = {"falls": poller.falls} if poller.falls else {}
    most = {place: results["clicks"] for place, results in expected(messages).items()}
    if above := {place: (n, most.get(place, 0)) for place, n in poller.highest.items() if n > most.get(place, 0)}:
        found["too many"] = above
    if not poller.polls:
        found["polls"] = 0
    return found


def trial_of(
    trial: Trial,
    messages: list[bytes],
    rate: float,
    plan: Sequence[Kill],
    chance: random.Random,
    *,
    idle: bool = True,
    between: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Run a plan of kills, `between` before each, while messages are published. What is wrong at the end, by name."""
    with Publisher(trial.stage, messages, rate, chance, answered=lambda: trial.poller.total) as publisher:
        for kill in plan:
            between()
            trial.run(kill)
        publisher.finish()
    trial.settle()
    found = conclude(trial.stage, messages, publisher.sent, idle=idle, definition=trial.definition)
    return found | wrong_polls(trial.poller, messages)
