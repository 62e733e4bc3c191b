"""Commands for a journal that a live run writes: begin the next generation, end the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tandem.pipelines.console.printing import say
from tandem.places import HomeOption, JournalOption, existing_journal
from tandem.runners.options.places import journal_of
from tandem.schemas.errors import TandemError, UserError
from tandem.serving.questions.answers.shown_times import ago_text

if TYPE_CHECKING:
    from tandem.journal.clocks import Clock
    from tandem.journal.storage.blobs import BlobStore
    from tandem.serving.installation.journal_state import JournalState

__all__ = ["seal", "stop", "wait_until"]

_LOOK_EVERY: Final = 500_000
WaitOption = Annotated[str | None, typer.Option("--wait", metavar="DURATION", help="wait that long for it to happen")]


def seal(wait: WaitOption = None, home: HomeOption = "tandem-data", journal: JournalOption = None) -> None:
    """Begin the next generation now, so that the lanes seal the current one and a backfill can take it in."""
    from tandem.journal.clocks import SystemClock
    from tandem.journal.runs.generations import next_generation
    from tandem.serving.installation.journal_state import read_state

    blobs, clock, time_limit = existing_journal(journal_of(home, journal)), SystemClock(), _time_limit(wait)
    state = read_state(blobs)
    if not state.current:
        raise UserError("the journal is empty: no live run has begun a generation")
    if state.sealed == state.current:
        say(f"no lane writes any more: everything up to generation {state.sealed} is sealed already")
        return
    next_generation(blobs, clock, state.current, "tandem seal")
    say(f"generation {state.current + 1} has begun; the lanes now seal generation {state.current}")
    if time_limit is None:
        return
    sealed = wait_until(blobs, clock, time_limit, lambda seen: seen.sealed >= state.current)
    if sealed is None:
        lanes = "; ".join(str(lane) for held in read_state(blobs).held[:1] for lane in held.lanes)
        raise TandemError(f"generation {state.current} isn't sealed after {wait}: held up by {lanes}")
    say(f"generation {state.current} is sealed")


def stop(wait: WaitOption = None, home: HomeOption = "tandem-data", journal: JournalOption = None) -> None:
    """Ask the live run to take in what it has read, seal its lanes and end."""
    from tandem.journal.clocks import SystemClock
    from tandem.journal.storage.blobs import create_or_find
    from tandem.journal.storage.layout import drain_path
    from tandem.serving.installation.journal_state import read_state

    blobs, clock, time_limit = existing_journal(journal_of(home, journal)), SystemClock(), _time_limit(wait)
    run = read_state(blobs).last_run
    if run is None:
        raise UserError("the journal is empty: there is no live run to stop")
    if run.ended:
        say(f"run {run.id} has ended already")
        return
    create_or_find(blobs, drain_path(run.id), b"{}")
    seen = f" (last sign of life {ago_text(clock.wall() - run.last_sign)} ago)" if run.last_sign is not None else ""
    say(f"run {run.id} is asked to end{seen}")
    if time_limit is None:
        return
    if wait_until(blobs, clock, time_limit, lambda state: any(r.id == run.id and r.ended for r in state.runs)) is None:
        raise TandemError(
            f"run {run.id} hasn't ended after {wait}; if its process died, the next `tandem live` seals its lanes"
        )
    say(f"run {run.id} has ended")


def wait_until(
    blobs: BlobStore, clock: Clock, time_limit: int, done: Callable[[JournalState], bool]
) -> JournalState | None:
    """Read a journal's state until `done` is true; returns that state, None after `time_limit` (microseconds)."""
    from tandem.serving.installation.journal_state import read_state

    end = clock.monotonic() + time_limit
    while True:
        state = read_state(blobs)
        if done(state):
            return state
        if clock.monotonic() >= end:
            return None
        clock.sleep(_LOOK_EVERY)


def _time_limit(text: str | None) -> int | None:
    from tandem.schemas.time.durations import parse_duration

    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise UserError(f"--wait: {error}") from None
