"""The stories of results on an engine: early, on time, late within the lateness and beyond it, idle, then batch; fixed,
sliding, calendar (a day on which clocks change) and session windows, in all modes.

They are held against the laws of revisions, and the last revision of each window and key against plain Python over the
messages that were published.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from processes.bench import Bench
from processes.stages import wait_for
from samples.sources import VISITED

from tandem.schemas.time.instants import instant_of
from tandem.verification.receiving import Receiver

__all__ = ["results_of_files", "results_of_live"]

_SECOND: Final = 1_000_000
_MINUTE, _HOUR = 60 * _SECOND, 3600 * _SECOND
_BEGIN: Final = 1_698_530_280 * _SECOND
"""2023-10-28T21:58:00Z: two minutes before a day of 25 hours begins in Berlin."""
_ZONE: Final = ZoneInfo("Europe/Berlin")
_TEXT: Final = (
    VISITED
    + """\
  out_of_orderness: 5s
  max_ahead: null
key: [user]
tile: 10s
lateness: 1h
freshness: 500ms
measures: {{n: count, amount: {{sum: amount}}}}
results:
  fixed: {{window: 1m, trigger: {{early: 1s}}, mode: retracting, to: {{files: '{sent}'}}}}
  added: {{window: 1m, trigger: {{early: 1s}}, mode: discarding, to: {{files: '{sent}'}}}}
  sliding: {{window: {{size: 40s, every: 20s}}, trigger: {{late: 2s}}, to: {{files: '{sent}'}}}}
  day:
    window: {{calendar: day, zone: Europe/Berlin}}
    trigger: {{early: 2s}}
    keys: 10
    mode: retracting
    to: {{files: '{sent}'}}
  visit: {{window: {{session: 10s}}, trigger: {{early: 1s}}, mode: retracting, to: {{files: '{sent}'}}}}
"""
)

Sums = dict[tuple[str, int], tuple[int, int]]
"""(user, start) -> (number, amount)."""


@dataclass(frozen=True)
class _Message:
    payload: str


@dataclass(frozen=True)
class _Visit:
    at: int
    user: str
    amount: int

    def message(self, number: int) -> bytes:
        event = {"id": f"v{number}", "at": self.at, "user": self.user, "amount": self.amount}
        return json.dumps(event).encode()


class _Story:
    """What was published so far, and what was sent of it."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.visits, self.sent = bench, list[_Visit](), bench.folder / "sent"
        self.definition = bench.folder / "visits.yaml"
        self.definition.write_text(_TEXT.format(sent=self.sent))

    def some(self, first: int, *seconds: float) -> list[bytes]:
        """Visits of three users so many seconds after `first`, remembered."""
        fresh = [_Visit(first + int(at * _SECOND), "abc"[n % 3], n % 7 - 2) for n, at in enumerate(seconds)]
        begin = len(self.visits)
        self.visits += fresh
        return [visit.message(begin + number) for number, visit in enumerate(fresh)]

    def files(self) -> Iterator[Path]:
        """In the order in which each window's were written."""
        return iter(sorted(self.sent.rglob("*.jsonl")))

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(line) for path in self.files() for line in path.read_text().splitlines()]

    def until(self, timing: str, result: str, start: int, events: int = 0) -> None:
        """Wait until this was sent of a window, of some user, with so many events at least."""
        wanted = timing, result, start
        wait_for(
            f"{timing} of {result}",
            lambda: any(_place(m) == wanted and m["events"] >= events for m in self.messages()),
        )

    def check(self) -> None:
        """The laws hold, and what was sent last is what plain Python says."""
        receiver, added = Receiver(), defaultdict[tuple[str, int], list[dict[str, Any]]](list)
        receiver.send([_Message(line) for path in self.files() for line in path.read_text().splitlines()])
        for message in self.messages():
            if message["result"] == "added":
                added[message["key"]["user"], instant_of(message["start"])].append(message["results"])
        for result in ("fixed", "sliding", "day", "visit"):
            assert _over(_last(receiver, result)) == _over(_wanted(result, self.visits)), result
        found = {place: (_sum(mine, "n"), _sum(mine, "amount")) for place, mine in added.items()}
        assert _over(found) == _over(_wanted("fixed", self.visits)), "added"
        timings = {message["timing"] for message in self.messages()}
        assert "FINAL" in timings, timings


def _over(sums: Sums) -> Sums:
    """Of windows that are over at the end of every story: triggers may hold back the others."""
    return {place: values for place, values in sums.items() if place[1] < _BEGIN + 24 * _HOUR}


def _place(message: dict[str, Any]) -> tuple[str, str, int]:
    return message["timing"], message["result"], instant_of(message["start"])


def _sum(results: Iterable[dict[str, Any]], name: str) -> int:
    return sum(each[name] or 0 for each in results)


def _last(receiver: Receiver, result: str) -> Sums:
    return {
        (message["key"]["user"], instant_of(start)): (message["results"]["n"], message["results"]["amount"])
        for (of, start, _), message in receiver.newest.items()
        if of == result and not message["withdrawn"]
    }


def _wanted(result: str, visits: Sequence[_Visit]) -> Sums:
    found = defaultdict[tuple[str, int], list[int]](list)
    for user in {visit.user for visit in visits}:
        mine = sorted((visit for visit in visits if visit.user == user), key=lambda visit: visit.at)
        last, session = None, 0
        for visit in mine:
            if last is None or visit.at - last >= 10 * _SECOND:
                session = visit.at
            last = visit.at
            for start in [session] if result == "visit" else _starts(result, visit.at):
                found[user, start].append(visit.amount)
    return {place: (len(amounts), sum(amounts)) for place, amounts in found.items()}


def _starts(result: str, at: int) -> list[int]:
    if result == "fixed":
        return [at // _MINUTE * _MINUTE]
    if result == "sliding":
        newest = at // (20 * _SECOND) * (20 * _SECOND)
        return [newest, newest - 20 * _SECOND]
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(_ZONE)
    midnight = datetime.combine(local.date(), time(), _ZONE)
    return [round(midnight.timestamp()) * _SECOND]


def results_of_live(bench: Bench) -> None:
    """Each thing that timing can be, waited for; at the end batch."""
    story = _Story(bench)
    live = bench.live(story.definition, flags=("--idle-timeout", "1s"))
    bench.publish(story.some(_BEGIN, *range(0, 300, 5)))
    story.until("EARLY", "day", _BEGIN + 2 * _MINUTE)
    story.until("ON_TIME", "fixed", _BEGIN + _MINUTE)
    story.until("ON_TIME", "sliding", _BEGIN + _MINUTE)
    bench.publish(story.some(_BEGIN + _MINUTE, *[1.5, 2.5, 3.5] * 3))
    story.until("LATE", "fixed", _BEGIN + _MINUTE, 7)
    story.until("LATE", "visit", _BEGIN + _MINUTE + 5 * _SECOND // 2)
    # Idle for 27 hours: the day of 25 hours is over, and what is of before it is too late for live.
    bench.publish(story.some(_BEGIN + 27 * _HOUR, 0, 1, 2))
    story.until("ON_TIME", "day", _BEGIN + 2 * _MINUTE)
    bench.publish(story.some(_BEGIN + 3 * _MINUTE, 7))
    wait_for("it is in the journal", lambda: set(bench.published) <= bench.stage.journaled() or live.has_ended())
    live.process.terminate()
    bench.well(live)
    live_alone = {m["timing"] for m in story.messages()}
    assert live_alone == {"EARLY", "ON_TIME", "LATE"}, live_alone
    bench.backfill(story.definition)
    story.check()


def results_of_files(bench: Bench) -> None:
    """One pane a window, final."""
    story = _Story(bench)
    bench.write(story.some(_BEGIN, *range(0, 300, 5)))
    bench.write(story.some(_BEGIN + 27 * _HOUR, 0, 1, 2))
    bench.backfill(story.definition)
    story.check()
    first = [message for message in story.messages() if instant_of(message["start"]) < _BEGIN + 24 * _HOUR]
    assert {(message["timing"], message["revision"]) for message in first} == {("FINAL", 1)}
