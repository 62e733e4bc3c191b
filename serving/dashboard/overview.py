"""The contents of the first page: one word for everything, and a card for each definition."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tandem.journal.lanes.watermark_board import read_board
from tandem.journal.storage.blobs import BlobStore
from tandem.journal.storage.opening import open_blobs
from tandem.serving.installation.health import Health, judged
from tandem.serving.installation.journal_state import JournalState, RunState, existing_state
from tandem.serving.questions.answers.shown_times import ago_text
from tandem.views.decisions.listing import firing_count
from tandem.views.report import status_report

if TYPE_CHECKING:
    from tandem.serving.api.context import Service
    from tandem.serving.security.principals import Principal
    from tandem.views.store import ViewStore

__all__ = ["Card", "Lane", "Overview", "overview"]

_WORST_FIRST: Final = ("broken", "stale", "attention", "empty", "healthy")
_GENERATIONS: Final = 40


@dataclass(frozen=True, slots=True)
class Card:
    """The card of one definition."""

    name: str
    health: Health
    served: dict[str, Any] | None
    """In the form of a status report."""
    version: str
    key: tuple[str, ...]
    lag: int | None
    """Distance of the watermark from the clock, microseconds; None without live."""
    watermark: int | None
    waiting: int
    """Events that live received and hasn't written to its view yet."""
    late: int
    dead: int
    received: tuple[tuple[int, int], ...]
    """(generation, messages) of the served live run, the newest generations."""
    rate: float | None
    """Messages a second over those generations."""
    firing: int = 0
    """Firing alerts."""
    hidden: bool = False
    """Whether some keys are hidden from the caller: then the card has no totals."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One reader of the subscription."""

    lane: int
    watermark: int | None
    behind: int | None
    """Distance from the clock, microseconds."""


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that the caller may see."""

    cards: tuple[Card, ...]
    worst: Health | None
    journal: JournalState | None
    run: dict[str, str] | None
    """{id, life} of the newest run of the journal."""
    lanes: tuple[Lane, ...]
    """The lanes of that run."""


def overview(service: Service, principal: Principal) -> Overview:
    """The current state of everything; for a reader's thread."""
    store, now = service.readers.store(), service.clock()
    journal = existing_state(service.settings.journal)
    mark = store.changes.mark()
    cards = []
    for name in store.catalogue.names(principal):
        compiled = store.catalogue.compiled(name, principal, mark)
        report = status_report(store.views, name)
        health = judged(report, journal, now, service.settings.max_age)
        hidden = principal.rows.restricts(name)
        card = _card(report, health, compiled.version, compiled.definition.key, now, hidden=hidden)
        cards.append(replace(card, firing=_firing(store.views, name) if not hidden else 0))
    cards.sort(key=lambda card: (_WORST_FIRST.index(card.health.state), card.name))
    shown = journal if principal.unrestricted else None
    run = shown.last_run if shown is not None else None
    lanes = _lanes(open_blobs(service.settings.journal), run.id, now) if run is not None else ()
    return Overview(tuple(cards), cards[0].health if cards else None, shown, _life(run, now), lanes)


def _card(
    report: dict[str, Any], health: Health, version: str, key: tuple[str, ...], now: int, *, hidden: bool
) -> Card:
    served = report["served"]
    if hidden:
        shown = Health(health.name, health.state if health.state in ("stale", "empty") else "healthy", "", health.fresh)
        return Card(health.name, shown, None, version, key, None, None, 0, 0, 0, (), None, hidden=True)
    live = next((run for run in report["live_runs"] if served and run["run"] == served["live_run"]), None)
    boundary = served["boundary"] if served else 0
    generations = {g: counts for g, counts in live["generations"].items() if g > boundary} if live else {}
    received = tuple((g, counts["received"]) for g, counts in (live["generations"] if live else {}).items())
    watermark = live["watermark"] if live else None
    age = (live["updated_at"] - live["started_at"]) / 1e6 if live else 0
    return Card(
        health.name,
        health,
        served,
        version,
        key,
        now - watermark if watermark is not None else None,
        watermark,
        sum(abs(number) for number in (live["residues"].values() if live else ())),
        sum(counts["late"] for counts in generations.values()),
        report["dead_letters"].get("open", 0),
        received[-_GENERATIONS:],
        sum(n for _, n in received) / age if age > 0 else None,
    )


def _firing(views: ViewStore, name: str) -> int:
    with views.database.read() as connection:
        return firing_count(connection, name)


def _life(run: RunState | None, now: int) -> dict[str, str] | None:
    if run is None:
        return None
    if run.ended:
        life = "ended"
    elif run.last_sign is None:
        life = "no sign of life yet"
    else:
        life = f"alive {ago_text(now - run.last_sign)} ago"
    return {"id": run.id, "life": life}


def _lanes(blobs: BlobStore, run: str, now: int) -> tuple[Lane, ...]:
    """The event time that each lane of a run has reached, the minimum over its sources."""
    found = []
    for lane, published in sorted((read_board(blobs, run) or {}).items()):
        known = [value for value in published.watermarks.values() if value is not None]
        watermark = min(known, default=None)
        found.append(Lane(lane, watermark, now - watermark if watermark is not None else None))
    return tuple(found)
