"""Guarantee 3: killed at any instant, any number of times, nothing is lost, doubled or taken back.

The publisher is Pub/Sub's own client, and the expected answers are computed from what it sent by a few lines of plain
Python. `make kill` runs the long form too; TANDEM_KILL_SEED chooses other instants.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from journal.failpoints import FAILPOINT_VARIABLE
from journal.failpoints import FAILPOINTS as ALL_INSTANTS

CLICKS = Path(__file__).parents[2] / "examples" / "clicks" / "clicks.yaml"
LIVE = ("--lanes", "2", "--generation-interval", "3s", "--max-messages", "500")
SEED = int(os.environ.get("TANDEM_KILL_SEED", "20130101"))
SECOND = 1_000_000
MINUTE = 60 * SECOND
START = 1_735_689_600 * SECOND
PAGES = 6

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

Results = dict[tuple[str, int], dict[str, Any]]


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
    backfill: str = ""
    """'first': one is run to its end before; 'during': it is begun before, and goes on; 'killed': and is killed too."""


FAILPOINTS = [
    Kill("after-pull", 3),
    Kill("after-write", 11),
    Kill("after-link", 17),
    Kill("after-acknowledge", 2),
    Kill("after-seal", 1),
]
ALL_FAILPOINTS = [
    Kill(name, nth)
    for name in ALL_INSTANTS
    for nth in (1, 2)
    if (name, nth) != ("after-manifest", 2)  # a start has one manifest
]


def plan_of(chance: random.Random, number: int, failpoints: Sequence[Kill]) -> list[Kill]:
    """Failpoints, and seeded kills while it starts, while it serves, and while a backfill reads or publishes."""
    kills = [*failpoints]
    for at in range(number - 1):
        fresh = chance.random() < 0.5
        after = chance.uniform(0, 3) if fresh else chance.uniform(0.2, 6)
        kills.append(Kill(fresh=fresh, after=after, backfill=("during", "killed", "")[at % 3]))
    chance.shuffle(kills)
    # not at the very beginning, so that it has something to count
    kills.insert(len(kills) // 2, Kill(fresh=True, after=chance.uniform(0, 3), backfill="first"))
    return kills


def event(chance: random.Random, number: int, behind: int) -> bytes:
    """A click `behind` microseconds before its place in the stream of one a second."""
    click = {
        "event_id": f"click-{number}",
        "event_time": START + number * SECOND - behind,
        "user_id": chance.randrange(40),
        "page": f"/page/{chance.randrange(PAGES)}",
        "country": chance.choice(["DE", "FR", "IT"]),
        "amount": chance.uniform(-100, 1000),
    }
    return json.dumps(click).encode()


def traffic(chance: random.Random, number: int) -> list[bytes]:
    """1 of 100 an hour late, the others disordered by up to 8 s; 1 of 20 is sent again, 1 of 200 has an equal id."""
    timed: list[tuple[float, bytes]] = []
    for at in range(number):
        late = 3600 * SECOND if at > number // 5 and chance.random() < 0.01 else 0
        message = event(chance, at, chance.randrange(8 * SECOND) + late)
        timed.append((at, message))
        if chance.random() < 0.05:
            timed.append((at + chance.choice([0, 1, 100, 3000]) * chance.random(), message))
        if chance.random() < 0.005:
            timed.append((at, json.dumps({**json.loads(message), "amount": -1.5}).encode()))
    return [message for _, message in sorted(timed, key=lambda item: item[0])]


def expected(messages: Sequence[bytes]) -> Results:
    """All answers by plain Python: a copy is equal in every byte, so a set leaves copies out."""
    tiles: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for message in set(messages):
        click = json.loads(message)
        place = (json.dumps([click["page"]]), click["event_time"] // MINUTE * MINUTE)
        tiles[place].append(click)
    return {place: results_of(clicks) for place, clicks in tiles.items()}


def results_of(clicks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sums and means are of the exact amounts, rounded once."""
    amounts = [Fraction(click["amount"]) for click in clicks]
    return {
        "clicks": len(clicks),
        "amount": float(sum(amounts)),
        "least": float(min(amounts)),
        "most": float(max(amounts)),
        "mean": float(sum(amounts) / len(amounts)),
        "users": len({click["user_id"] for click in clicks}),
    }


@dataclass
class Publisher:
    """Publishes in the background until `finish`; a machine that is slow gets some more messages than planned."""

    stage: Any
    messages: list[bytes]
    rate: float
    """Messages a second."""
    chance: random.Random
    sent: int = 0
    """Of the messages."""
    error: BaseException | None = None
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Publisher:
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._thread.join()

    def finish(self) -> None:
        """Stop, and publish the rest at once, with copies of some old messages, which batch has counted by now."""
        self.__exit__()
        if self.error is not None:
            raise self.error
        self.messages += self.chance.sample(self.messages[: self.sent], 200)
        rest = self.messages[self.sent :]
        for start in range(0, len(rest), 5_000):
            self.stage.publish(rest[start : start + 5_000])
        self.sent += len(rest)

    def _run(self) -> None:
        begun = time.monotonic()
        try:
            while not self._stopped.wait(0.1):
                due = int((time.monotonic() - begun) * self.rate) + 1
                if due > len(self.messages):
                    self.messages.append(event(self.chance, len(self.messages), 0))
                batch = self.messages[self.sent : due]
                self.stage.publish(batch)
                self.sent += len(batch)
        except BaseException as error:
            self.error = error


@dataclass
class Trial:
    """Live, killed again and again while events arrive and answers are read."""

    stage: Any
    poller: Any
    patiently: Callable[..., Any]
    restarts: list[float] = field(default_factory=list)
    """Seconds from each start to its first fresh answer."""
    published: int = 0
    """Backfills that were published in between."""
    _backfills: list[Any] = field(default_factory=list)

    def run(self, kill: Kill) -> None:
        """Start live, and see it die."""
        before = self.poller.total
        environment = {FAILPOINT_VARIABLE: f"{kill.failpoint}:{kill.nth}"} if kill.failpoint else {}
        live = self.stage.live([CLICKS], *LIVE, env=environment)
        if kill.failpoint:
            assert live.end() == -signal.SIGKILL, f"{kill}: it ended otherwise:\n{live.said()}"
        else:
            self._kill(live, kill, before)
        # its runner must not go on without it
        self.patiently(f"{kill}: all that it started ends too", live.group_is_gone, 20)

    def _kill(self, live: Any, kill: Kill, before: int) -> None:
        if kill.backfill in ("during", "killed"):
            background = self.stage.start("backfill", "--definition", str(CLICKS), "--publish-wait", "15s")
        if kill.backfill == "during":
            self._backfills.append(background)
        if kill.fresh:
            self.patiently(
                f"a fresh answer after {before} events; live says:\n{live.said()}",
                lambda: self.poller.total > before or live.process.poll() is not None,
            )
            self.restarts.append(time.monotonic() - live.started)
        if kill.backfill == "first":
            backfill = self.stage.start("backfill", "--definition", str(CLICKS))
            assert backfill.end() == 0, backfill.said()
            self.published += 1
        time.sleep(kill.after)
        assert live.process.poll() is None, f"live ended by itself: {live.said()}"
        live.kill()
        if kill.backfill == "killed":
            background.kill()

    def settle(self) -> None:
        """The backfills have ended; one that was too early, or whose live run was killed, was refused in one line."""
        for backfill in self._backfills:
            code, said = backfill.end(), backfill.said()
            last = (said.splitlines() or [""])[-1]
            assert code == 0 or last.startswith(("error: nothing to read", "error: clicks: live run")), said
            self.published += code == 0


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


def rounded(results: Results) -> Results:
    """Few different users: the estimate is the number."""
    return {place: {**values, "users": round(values["users"])} for place, values in results.items()}


def conclude(stage: Any, view: Any, sent: int, messages: Sequence[bytes]) -> None:
    """Read the rest, then let batch cover all; every answer is the expected one."""
    last = stage.live([CLICKS], *LIVE, "--until-idle", "11s")
    assert last.end() == 0, last.said()
    assert "Traceback" not in last.said()
    assert not view.unbalanced()
    backfill = stage.start("backfill", "--definition", str(CLICKS))
    assert backfill.end() == 0, backfill.said()
    assert not differences(rounded(view.results()), expected(messages))
    assert not view.unbalanced()
    assert view.received_by_batch() >= sent


def check_polls(poller: Any, messages: Sequence[bytes]) -> None:
    """At no time had an answer fewer events than before, or more than there are."""
    poller.stop()
    assert poller.polls > 10
    assert not poller.falls
    most = {place: results["clicks"] for place, results in expected(messages).items()}
    assert {place: (n, most.get(place, 0)) for place, n in poller.highest.items() if n > most.get(place, 0)} == {}


@pytest.fixture
def trial(stage: Any, polling: Any, patiently: Any) -> Trial:
    """A trial on a stage of its own."""
    return Trial(stage, polling(stage.view(CLICKS)), patiently)


@pytest.mark.parametrize(
    ("number", "rate", "kills", "failpoints"),
    [
        pytest.param(12_000, 150, 3, FAILPOINTS, id="short", marks=pytest.mark.timeout(600)),
        pytest.param(100_000, 400, 20, ALL_FAILPOINTS, id="long", marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)
def test_killed_again_and_again_nothing_is_lost_or_doubled(
    trial: Trial, number: int, rate: float, kills: int, failpoints: list[Kill], capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(SEED)
    messages = traffic(chance, number)
    plan = plan_of(chance, kills, failpoints)
    with Publisher(trial.stage, messages, rate, chance) as publisher:
        for kill in plan:
            trial.run(kill)
        publisher.finish()
    trial.settle()
    view = trial.stage.view(CLICKS)
    conclude(trial.stage, view, publisher.sent, messages)
    check_polls(trial.poller, messages)
    assert trial.published
    with capsys.disabled():
        times = sorted(trial.restarts)
        print(
            f"\n{len(plan)} kills, {publisher.sent:,} messages, {view.received_by_batch():,} with redeliveries: "
            f"lost 0, twice 0; restart to fresh answer p50 {statistics.median(times):.1f} s, max {times[-1]:.1f} s"
        )


@pytest.mark.timeout(600)
def test_a_run_that_wakes_after_another_took_over_is_fenced(trial: Trial) -> None:
    stage, patiently = trial.stage, trial.patiently
    messages = traffic(random.Random(SEED + 1), 4_000)
    with Publisher(stage, messages, 150, random.Random(SEED)) as publisher:
        first = stage.live([CLICKS], *LIVE)
        patiently("a first answer", lambda: trial.poller.total)

        refused = stage.live([CLICKS], *LIVE)
        assert refused.end() == 2
        assert "alive" in refused.said()
        assert len(refused.said().splitlines()) == 1, refused.said()

        pause(first, stage.store_is_free)
        second = stage.live([CLICKS], *LIVE, "--take-over")
        before = trial.poller.total
        patiently("a fresh answer of the second", lambda: trial.poller.total > before)
        first.signal_group(signal.SIGCONT)
        assert first.end() == 75, first.said()
        assert "fenced" in first.said() or "taken" in first.said() or "sealed" in first.said(), first.said()
        assert "Traceback" not in first.said()
        before = trial.poller.total
        patiently("the second goes on", lambda: trial.poller.total > before)
        publisher.finish()
        second.process.send_signal(signal.SIGTERM)
        assert second.end() == 0, second.said()
    conclude(stage, stage.view(CLICKS), publisher.sent, messages)
    check_polls(trial.poller, messages)


def pause(live: Any, store_is_free: Callable[[], bool]) -> None:
    """SIGSTOP it, but not within a transaction: SQLite's lock would be held for as long as it sleeps."""
    for _ in range(50):
        live.signal_group(signal.SIGSTOP)
        if store_is_free():
            return
        live.signal_group(signal.SIGCONT)
        time.sleep(0.1)
    pytest.fail("the store was never free")
