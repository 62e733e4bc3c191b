"""The health of a definition's answers, in one word, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tandem.serving.questions.answers.shown_times import ago_text
from tandem.views.report import status_report

if TYPE_CHECKING:
    from tandem.serving.installation.journal_state import JournalState
    from tandem.views.store import ViewStore

__all__ = ["Health", "health_of", "judged"]


@dataclass(frozen=True, slots=True)
class Health:
    """One definition's health."""

    name: str
    state: str
    """'healthy', 'attention' (answers are valid, but an operator should act), 'stale' (they aren't as fresh as
    required), 'broken' (events are unaccounted for), 'empty'."""
    reason: str
    fresh: bool
    """Whether answers are as fresh as required. Without a live run they need be no fresher than batch."""


def health_of(views: ViewStore, name: str, journal: JournalState | None, now: int, max_age: int) -> Health:
    """The health of a name's answers; `max_age`: microseconds that a live answer may lag behind."""
    return judged(status_report(views, name), journal, now, max_age)


def judged(report: dict[str, Any], journal: JournalState | None, now: int, max_age: int) -> Health:
    """The health by a status report. The most serious reason comes first."""
    name, served = report["name"], report["served"]
    if served is None:
        return Health(name, "empty", "nothing is published yet", False)
    live = next((run for run in report["live_runs"] if _serves(run, served)), None)
    if report["batch_residues"]:
        lost = sum(map(abs, report["batch_residues"].values()))
        return Health(name, "broken", f"batch can't account for {lost:,} events", True)
    stale = _stale(live, journal, now, max_age) if live is not None else None
    if stale is not None:
        return Health(name, "stale", stale, False)
    letters = report["dead_letters"].get("open", 0)
    if letters:
        return Health(name, "attention", f"{letters:,} dead letters wait to be looked at", True)
    if journal is not None and journal.held:
        return Health(name, "attention", f"generation {journal.held[0].generation} can't be sealed", True)
    unsent = _unsent(report["results"], now) if report["results"] is not None else None
    if unsent is not None:
        return Health(name, "attention", unsent, True)
    if live is None:
        return Health(name, "healthy", f"batch is served up to generation {served['boundary']}, without live", True)
    return Health(name, "healthy", "live is on time, and nothing is unaccounted for", True)


def _unsent(results: dict[str, Any], now: int) -> str | None:
    """The reason why due results aren't sent."""
    waits = results["due"] or results["outbox"]
    if waits and (results["deliverer"] is None or results["until"] <= now):
        return "results are due and nobody delivers them: `tandem deliver` does"
    failing = next((name for name, stated in results["outputs"].items() if stated["error"]), None)
    if failing is not None:
        return f"results wait for {failing}: {results['outputs'][failing]['error']}"
    return f"{results['dead']:,} results were refused: `tandem results dead` lists them" if results["dead"] else None


def _serves(run: dict[str, Any], served: dict[str, Any]) -> bool:
    return bool(run["run"] == served["live_run"] and run["version"] == served["version"])


def _stale(live: dict[str, Any], journal: JournalState | None, now: int, max_age: int) -> str | None:
    run = next((run for run in journal.runs if run.id == live["run"]), None) if journal is not None else None
    if run is not None and run.ended:
        return f"live run {live['run']} has ended"
    seen = run.last_sign if run is not None else None
    sign = max(each for each in (seen, live["updated_at"]) if each is not None)
    if now - sign > max_age:
        return f"live run {live['run']} gave its last sign of life {ago_text(now - sign)} ago"
    if live["watermark"] is None:
        return f"live run {live['run']} has no watermark yet"
    if now - live["watermark"] > max_age:
        return f"the watermark is {ago_text(now - live['watermark'])} behind the clock"
    return None
