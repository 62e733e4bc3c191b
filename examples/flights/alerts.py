"""The demo's alerts: three with a known end, and all of them against a backtest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from examples.flights.installation import Installation
from tandem.pipelines.backtest.judging import Alert
from tandem.schemas.definition.compiled import key_text
from tandem.schemas.errors import ParityError
from tandem.schemas.rules.compiled import compile_rules
from tandem.schemas.rules.settling import State
from tandem.schemas.time.durations import HOUR
from tandem.serving.questions.answers.baselines import BaselineSeries, baseline_series
from tandem.verification.alerts import by_place, settled_alerts
from tandem.views.answers.reading.scope import read_scope
from tandem.views.decisions.listing import alerts, receipts_of
from tandem.views.results.clocks import BEGINNING, Clocks

__all__ = [
    "STORY",
    "Compared",
    "StoryAlert",
    "backtested",
    "compare_alerts",
    "instant",
    "sent_states",
    "settled_to",
]

_MOST: Final = 100_000
_SHOWN: Final = (18 * HOUR, 12 * HOUR)
"""The span of an alert's series, before and after the beginning of its hour."""


def instant(text: str) -> int:
    """A time in ISO format as microseconds UTC."""
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


@dataclass(frozen=True, slots=True)
class StoryAlert:
    """An alert that is the same in each run, since publishing pauses after what was known by `pause`."""

    rule: str
    origin: str
    carrier: str
    measure: str
    hour: int
    """The start of the window in which it fires."""
    pause: int
    """The time up to which flights are published before the pause."""
    state: State
    """Its last state."""
    title: str

    @property
    def is_raised_by_live(self) -> bool:
        """Whether live raises it."""
        return self.state is not State.RAISED_LATE

    def found(self, installation: Installation) -> Any | None:
        """The first episode that covers its hour; None if there is none."""
        key = key_text(installation.compiled, [self.origin, self.carrier])
        with installation.store.database.read() as connection:
            rows = alerts(connection, installation.name, rule=self.rule, key=key, most=_MOST)
        over = [row for row in rows if row.since <= self.hour <= row.last]
        return min(over, key=lambda row: row.created_at, default=None)

    def series(self, installation: Installation) -> BaselineSeries:
        """The hours around it, with their baseline and all alerts of its rule."""
        compiled = installation.compiled
        (rule,) = (r for r in compile_rules(compiled, compiled.definition.rules) if r.name == self.rule)
        span = (self.hour - _SHOWN[0], self.hour + _SHOWN[1])
        key = key_text(compiled, [self.origin, self.carrier])
        return baseline_series(installation.store, compiled, rule, self.measure, key, span)

    def check(self, installation: Installation, id: str | None) -> list[str]:
        """Lines with its states, once batch has settled it. `id`: of the alert that live raised. Raises ParityError."""
        row = self.found(installation)
        if row is None or row.state != self.state or (id is not None and row.id != id):
            found = "nothing" if row is None else f"{row.id} {row.state}"
            raise ParityError(f"{self.title}: {self.rule} of {self.origin} {self.carrier} is {found}; live had {id}")
        with installation.store.database.read() as connection:
            receipts = receipts_of(connection, row.id)
        first = [_line(self, receipts[0], "raised")] if len(receipts) > 1 else []
        return [*first, _line(self, receipts[-1], row.state.lower().replace("_", " "))]


def _line(alert: StoryAlert, receipt: Mapping[str, Any], what: str) -> str:
    value, usual = receipt["values"].get(alert.measure), receipt["baseline"].get(f"baseline.{alert.measure}")
    watermark = receipt["watermark"][:16] if receipt["watermark"] else "none"
    has = "no flight" if value is None else f"{alert.measure} {value:.4g}, usually {usual or 0:.4g}"
    return f"{what}: {has}; {receipt['live_events']} of {receipt['events']} flights by live; watermark {watermark}Z"


STORY: Final = (
    StoryAlert(
        *("delayed", "JFK", "DL", "mean_delay", instant("2013-12-02T00:00Z"), instant("2013-12-02T11:50Z")),
        *(State.RAISED_LATE, "raised late: the flight that left 687 minutes late was left to batch"),
    ),
    StoryAlert(
        *("standstill", "LGA", "DL", "departed", instant("2013-12-05T16:00Z"), instant("2013-12-05T19:30Z")),
        *(State.WITHDRAWN, "withdrawn: flights that seemed to be missing were late"),
    ),
    StoryAlert(
        *("delayed", "JFK", "9E", "mean_delay", instant("2013-12-05T19:00Z"), instant("2013-12-05T21:50Z")),
        *(State.CONFIRMED, "fired early, while flights of its hour were still to come, and confirmed"),
    ),
)


@dataclass(frozen=True, slots=True)
class Compared:
    """The comparison of all alerts with a backtest."""

    equal: int
    """Settled alerts, each of which the backtest has too, and no other."""
    states: Mapping[str, int]
    """The number of alerts by state."""
    settled_to: int
    """Microseconds UTC."""


def settled_to(installation: Installation) -> int:
    """The end, exclusive, of the windows that the served publication settles, microseconds UTC."""
    with installation.store.database.read() as connection:
        scope = read_scope(connection, installation.store.chains, installation.compiled)
    return Clocks.of(scope, installation.compiled.definition.lateness, BEGINNING).settled


def compare_alerts(installation: Installation, expected: Iterable[Alert], sent: Mapping[str, set[str]]) -> Compared:
    """Compare settled alerts with a backtest's, one to one, and the state of each with the messages that were sent.

    Raises ParityError.
    """
    with installation.store.database.read() as connection:
        rows = alerts(connection, installation.name, most=_MOST)
    found, wanted = settled_alerts(installation.store, installation.compiled), sorted(expected, key=by_place)
    if found != wanted or not found:
        differ = sorted(set(found) ^ set(wanted), key=by_place)[:5]
        raise ParityError(f"{len(found)} settled alerts, {len(wanted)} by the backtest; they differ in {differ}")
    silent = [row.id for row in rows if row.state not in sent.get(row.id, set())]
    if silent:
        raise ParityError(f"{len(silent)} alerts have no message of their state, such as {silent[0]}")
    states = {state.value: sum(row.state == state for row in rows) for state in State}
    return Compared(len(found), {state: count for state, count in states.items() if count}, settled_to(installation))


def backtested(installation: Installation, output: str) -> list[Alert]:
    """The alerts in the output of `tandem backtest --json`."""
    found = []
    for rule in json.loads(output[output.index("[") :]):
        for each in rule["alerts"]:
            key = key_text(installation.compiled, each["key"])
            since, fired, last, until = (instant(each[name]) for name in ("since", "fired", "last", "until"))
            resolved = None if each["resolved"] is None else instant(each["resolved"])
            found.append(Alert(rule["rule"], key, since, fired, last, resolved, until))
    return found


def sent_states(logs: Sequence[Path]) -> dict[str, set[str]]:
    """By alert the states of which the processes' logs hold a message."""
    found: dict[str, set[str]] = {}
    for log in logs:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith('{"id":'):
                message = json.loads(line)
                found.setdefault(message["episode"], set()).add(message["state"])
    return found
