"""Checks an installation: store, definitions, runs, seals, clock, and files that others can access."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from tandem.commands.operating.private import exposed
from tandem.diagnosis.compaction import compaction_findings
from tandem.diagnosis.finding import Finding, State
from tandem.journal.index import GAP_REMEDY
from tandem.runners.options.places import Home
from tandem.schemas.errors import NoStoreError, TandemError
from tandem.serving.installation.health import Health, judged
from tandem.serving.installation.journal_state import JournalState, existing_state
from tandem.serving.questions.answers.shown_times import ago_text
from tandem.serving.questions.selection.naming import registered_names
from tandem.views.report import status_report
from tandem.views.store import ViewStore

if TYPE_CHECKING:
    from tandem.serving.installation.journal_state import RunState

__all__ = ["installation_findings"]

_STALE: Final = 60 * 1_000_000
_AHEAD: Final = 60 * 1_000_000
"""Microseconds by which another machine's clock may be ahead of this one's."""
_FIXES: Final = {
    "empty": "`tandem backfill` or `tandem live` with its definition; the first run publishes",
    "stale": "`tandem live` again as before, if it should run; `tandem status {name}` says more",
    "broken": "`tandem reconcile {name}` finds and repairs it",
    "attention": "`tandem status {name}` says more; `tandem deadletters list {name}` for dead letters",
}


def installation_findings(home: str, places: Home, now: int) -> Iterator[Finding]:
    """Findings about a home. `now`: wall clock, microseconds UTC."""
    journal, found = _journal(places)
    yield from found
    if journal is not None:
        yield from _gaps(journal)
        yield from _runs(journal, now)
        yield from _seals(journal, now)
        yield from _clock(journal, now)
    yield from _store(places, journal, now)
    if os.path.isdir(home):
        yield from _files(home, places)


def _journal(places: Home) -> tuple[JournalState | None, list[Finding]]:
    try:
        state = existing_state(places.journal)
    except TandemError as error:
        return None, [Finding("journal", State.ERROR, str(error), "see docs/how-to/restart-after-crash.md")]
    if state is None:
        fix = "`tandem live` begins one; an installation of files alone needs none"
        return None, [Finding("journal", State.NOTE, f"none at {places.journal}", fix)]
    return state, [
        Finding("journal", State.OK, f"{places.journal}: {len(state.runs)} runs, generation {state.current}")
    ]


def _gaps(journal: JournalState) -> Iterator[Finding]:
    for gap in journal.gaps:
        yield Finding("segment", State.ERROR, str(gap), GAP_REMEDY)


def _runs(journal: JournalState, now: int) -> Iterator[Finding]:
    behind = {gap.run for gap in journal.gaps}
    for run in journal.runs:
        # Whether a run has ended may stand behind its missing segment.
        if run.ended or run.id in behind or not _is_stale(run, now):
            continue
        silent = f"for {ago_text(now - run.last_sign)}" if run.last_sign is not None else "ever"
        fix = "`tandem live` again as before goes on, `tandem stop` ends it and seals its lanes"
        yield Finding("run", State.WARNING, f"{run.id} hasn't ended, and gave no sign of life {silent}", fix)


def _is_stale(run: RunState, now: int) -> bool:
    return run.last_sign is None or now - run.last_sign > _STALE


def _seals(journal: JournalState, now: int) -> Iterator[Finding]:
    for held in journal.held[:3]:
        since = f" for {ago_text(now - held.since)}" if held.since is not None else ""
        waiting = [lane for lane in held.lanes if lane.gap is None]
        if not waiting:
            continue
        lanes = ", ".join(f"{lane.run}/{lane.lane:04d}" for lane in waiting[:3])
        yield Finding(
            "seal",
            State.WARNING,
            f"generation {held.generation} can't be sealed{since}: held by {lanes}",
            "`tandem seal` once the lanes' run is ended for good; a run that lives seals by itself",
        )


def _clock(journal: JournalState, now: int) -> Iterator[Finding]:
    times = [run.last_sign for run in journal.runs if run.last_sign is not None]
    times += [journal.current_since] if journal.current_since is not None else []
    newest = max(times, default=now)
    if newest > now + _AHEAD:
        what = f"the journal was written {ago_text(newest - now)} ahead of this machine's clock"
        yield Finding(
            "clock", State.ERROR, what, "set the clocks by NTP, here and where live runs: `timedatectl set-ntp true`"
        )
    else:
        yield Finding("clock", State.OK, "nothing was written ahead of it")


def _store(places: Home, journal: JournalState | None, now: int) -> Iterator[Finding]:
    try:
        store = ViewStore(places.store, create=False)
    except NoStoreError as error:
        lost = journal is not None and bool(journal.runs)
        fix = "`tandem rebuild` makes it anew" if lost else "`tandem backfill` or `tandem live` makes one"
        yield Finding("view store", State.ERROR if lost else State.NOTE, str(error), fix)
        return
    except TandemError as error:
        yield _stated("view store", error)
        return
    try:
        yield Finding("view store", State.OK, "can be read, and is of this version")
        for name in registered_names(store):
            yield _definition(judged(status_report(store, name), journal, now, _STALE))
            yield from compaction_findings(store, name)
    except TandemError as error:
        yield _stated("view store", error)
    finally:
        store.close()


def _stated(about: str, error: TandemError) -> Finding:
    """An error as a finding, with the command that it names."""
    commands = re.findall(r"`[^`]+`", str(error))
    return Finding(about, State.ERROR, str(error), " or ".join(commands) or "see docs/reference/view-store.md")


def _definition(health: Health) -> Finding:
    state = {"healthy": State.OK, "empty": State.NOTE, "attention": State.WARNING, "stale": State.WARNING}
    fix = _FIXES.get(health.state, "").format(name=health.name)
    return Finding(health.name, state.get(health.state, State.ERROR), f"{health.state}: {health.reason}", fix)


def _files(home: str, places: Home) -> Iterator[Finding]:
    if not os.access(home, os.W_OK | os.X_OK):
        what = f"{home} can't be written by this user"
        yield Finding(
            "permissions", State.WARNING, what, "run as its owner, or `tandem private --group NAME` as its owner"
        )
    lines = exposed(home, places)
    for line in lines:
        yield Finding("permissions", State.WARNING, line.partition(": `")[0], f"`tandem private --home {home}`")
    if not lines:
        yield Finding("permissions", State.OK, "nobody else can reach what is in it")
