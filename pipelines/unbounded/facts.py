"""The facts on a live run's screen: rate with its last minute, lag, freshness, backlog, and the newest answers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tandem.schemas.certificate import time_text
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import TandemError
from tandem.schemas.privacy.printable import printable
from tandem.schemas.time.units import UNIT_QUESTION
from tandem.views.answers.all_keys import states_of_all_keys
from tandem.views.store import ViewStore

__all__ = ["LiveFacts", "NewestAnswers", "Rates", "ago", "facts_of", "problem_of", "sparkline"]

_HISTORY: Final = 60
"""Samples, about as many seconds."""
_BARS: Final = "▁▂▃▄▅▆▇█"
_KEYS: Final = 3
_LOOK_EVERY: Final = 5.0
_SHARE: Final = 20
"""The newest answers are read at most one second in this many."""
_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class LiveFacts:
    """The current facts about one definition's live run."""

    definition: str
    run: str
    state: str
    rate: float
    """Events a second since the sample before."""
    history: str
    """The rates of the last minute as bars."""
    lag: int | None
    """Distance of the watermark from the clock, microseconds; None without a watermark."""
    freshness: int
    """Time since the view was last written, microseconds."""
    backlog: int
    """Events of the journal that the view hasn't."""
    received: int
    late: int
    dead: int
    watermark: int | None
    boundary: int
    newest: str = ""
    problem: str = ""
    early: int = 0
    """Events with times in January 1970."""

    def line(self) -> str:
        """All facts on one line."""
        if self.problem:
            return printable(f"{self.definition}: {self.problem}")
        lag = ago(self.lag) if self.lag is not None else "unknown"
        watermark = time_text(self.watermark) if self.watermark is not None else "unknown"
        return printable(
            f"{self.definition}: run {self.run}, {self.state}, {self.rate:,.0f}/s, lag {lag}, "
            f"fresh {ago(self.freshness)} ago, backlog {self.backlog:,}, received {self.received:,}, "
            f"late {self.late:,}, dead {self.dead:,}, "
            f"watermark {watermark}, boundary {self.boundary}{self.time_unit_question(', ')}"
        )

    def fields(self) -> dict[str, str | int | None]:
        """The numbers as fields of a structured log."""
        about: dict[str, str | int | None] = {"definition": self.definition, "run": self.run, "state": self.state}
        if self.problem:
            return about
        return {
            **about,
            "events_per_second": round(self.rate),
            "lag_seconds": self.lag // _SECOND if self.lag is not None else None,
            "freshness_seconds": self.freshness // _SECOND,
            "backlog": self.backlog,
            "received": self.received,
            "late": self.late,
            "dead": self.dead,
            "boundary": self.boundary,
        }

    def time_unit_question(self, before: str) -> str:
        """A question, after `before`, whether the unit of times is right, where events are of January 1970; else ''."""
        return f"{before}{self.early:,} events {UNIT_QUESTION}" if self.early else ""


@dataclass
class Rates:
    """Events per second between two samples, and those of the last minute."""

    clock: Callable[[], float] = time.monotonic
    last: dict[str, tuple[float, int]] = field(default_factory=dict)
    history: dict[str, deque[float]] = field(default_factory=dict)

    def rate(self, name: str, total: int) -> float:
        """The rate since the sample before; keeps it."""
        now = self.clock()
        before, seen = self.last.get(name, (now, total))
        self.last[name] = (now, total)
        rate = (total - seen) / (now - before) if now > before else 0.0
        self.history.setdefault(name, deque(maxlen=_HISTORY)).append(rate)
        return rate


def sparkline(values: Sequence[float]) -> str:
    """Bars of at most eight heights, the highest for the greatest value."""
    most = max(values, default=0.0)
    if most <= 0:
        return _BARS[0] * len(values)
    return "".join(_BARS[min(int(max(value, 0.0) / most * (len(_BARS) - 1) + 0.5), len(_BARS) - 1)] for value in values)


def ago(duration: int) -> str:
    """A duration in microseconds, rounded: `0.4s`, `47s`, `3m12s`, `5h07m`."""
    seconds = max(duration, 0) / _SECOND
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    return f"{whole // 60}m{whole % 60:02d}s" if whole < 3600 else f"{whole // 3600}h{whole % 3600 // 60:02d}m"


@dataclass
class NewestAnswers:
    """The answers of the last tile that event time has reached, read at intervals."""

    clock: Callable[[], float] = time.monotonic
    _known: dict[str, tuple[float, str]] = field(default_factory=dict)

    def of(self, store: ViewStore, definition: Definition, watermark: int | None) -> str:
        """A line about these answers; '' as long as there are none."""
        due, text = self._known.get(definition.name, (0.0, ""))
        begun = self.clock()
        if watermark is None or begun < due:
            return text
        text = _newest(store, definition, watermark)
        taken = self.clock() - begun
        self._known[definition.name] = (self.clock() + max(_LOOK_EVERY, taken * _SHARE), text)
        return text


def _newest(store: ViewStore, definition: Definition, watermark: int) -> str:
    served = store.publishing.served(definition.name)
    if served is None or served.version != definition.version:
        return ""
    tile = definition.tile
    start = watermark // tile * tile
    found = states_of_all_keys(store, compile_definition(definition), start, start + tile)
    if not found.keys:
        found = states_of_all_keys(store, compile_definition(definition), start - tile, start)
    if not found.keys:
        return ""
    measure = next(iter(definition.measures))
    results = found.results()
    most = sorted(range(len(found.keys)), key=lambda row: -int(found.events[row]))[:_KEYS]
    keys = "; ".join(f"{found.keys[row]} {results[row][measure]}" for row in most)
    total = found.total(range(len(found.keys)))[measure]
    more = "; ..." if len(found.keys) > _KEYS else ""
    return f"{time_text(found.start)}: {measure} {total} of {len(found.keys):,} keys: {keys}{more}"


def facts_of(
    definition: Definition, run: str, serving: bool, report: Mapping[str, Any], rates: Rates, now: int, newest: str = ""
) -> LiveFacts:
    """The facts of one run from a status report. `now`: wall clock, microseconds UTC."""
    mine = next(r for r in report["live_runs"] if r["run"] == run and r["version"] == definition.version)
    totals = mine["generations"].values()
    received = sum(generation["received"] for generation in totals)
    rate = rates.rate(definition.name, received)
    watermark = mine["watermark"]
    return LiveFacts(
        definition=definition.name,
        run=run,
        state="serving" if serving else "catching up",
        rate=rate,
        history=sparkline(rates.history[definition.name]),
        lag=now - watermark if watermark is not None else None,
        freshness=now - mine["updated_at"],
        backlog=sum(abs(residue) for residue in mine["residues"].values()),
        received=received,
        late=sum(generation["late"] for generation in totals),
        dead=sum(generation["dead"] for generation in totals),
        watermark=watermark,
        boundary=(report["served"] or {"boundary": 0})["boundary"],
        newest=newest,
        early=mine["early"],
    )


def problem_of(definition: Definition, run: str, error: TandemError) -> LiveFacts:
    """The facts about a run whose store can't be read now."""
    return LiveFacts(definition.name, run, "", 0.0, "", None, 0, 0, 0, 0, 0, None, 0, problem=str(error))
