"""Results, broken on purpose in one place each, by the rule that each break offends. `patch` is undone by callers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from apache_beam.transforms.window import SlidingWindows

import tandem.pipelines.delivery.deliverer
import tandem.pipelines.delivery.sources
import tandem.schemas.result_windows.checks
import tandem.transforms.results.nudges
import tandem.views.answers.reading.scope
import tandem.views.live.writing
import tandem.views.outbox.leases
import tandem.views.outbox.messages
import tandem.views.outbox.records
import tandem.views.publishing.pointer
import tandem.views.results.clocks
import tandem.views.results.due.choosing
import tandem.views.results.due.expanding
import tandem.views.results.due.marking
import tandem.views.results.revisions.draining
import tandem.views.results.revisions.revising
import tandem.views.results.revisions.writing
from tandem.pipelines.delivery.deliverer import Deliverer
from tandem.views.outbox.leases import LEASE, Lease
from tandem.views.outbox.tables import result_leases
from tandem.views.results.clocks import Clocks
from tandem.views.results.revisions.draining import Drainer
from tandem.views.results.watermarks import WrittenWatermark
from tandem.views.storage.database import wall_clock
from tandem.views.storage.opening import open_store
from tandem.views.storage.tables import definitions, pointers, publications

__all__ = ["RESULT_BREAKS", "RULES"]

Patch = pytest.MonkeyPatch
Break = Callable[[Patch], None]

# What is due


def live_writes_make_nothing_due(patch: Patch) -> None:
    """Live writes without noting what is due of results."""
    patch.setattr(tandem.views.live.writing, "mark_live", lambda *arguments: None)


def repeated_writes_make_nothing_due(patch: Patch) -> None:
    """What live writes again isn't noted, though nothing was due when it was written first."""
    intact, known = tandem.views.results.due.marking.mark_live, set[tuple[int, int, int]]()

    def mark_live(database: Any, connection: Any, run: Any, updates: Any) -> None:
        fresh = [each for each in updates if (run.id, each.tile, each.block.num_rows) not in known]
        known.update((run.id, each.tile, each.block.num_rows) for each in updates)
        intact(database, connection, run, fresh)

    patch.setattr(tandem.views.live.writing, "mark_live", mark_live)


def due_rows_have_a_transaction_of_their_own(patch: Patch) -> None:
    """Live writes, and notes in a second transaction what is due."""
    live = tandem.views.live
    intact_mark, held = tandem.views.results.due.marking.mark_live, list[Any]()
    from tandem.views.live.runs import LiveRuns

    patch.setattr(live.writing, "mark_live", lambda database, connection, *what: held.append((database, what)))
    intact = LiveRuns.write

    def write(self: Any, *arguments: Any) -> Any:
        done = intact(self, *arguments)
        while held:
            database, what = held.pop()
            with database.write() as connection:
                intact_mark(database, connection, *what)
        return done

    patch.setattr(LiveRuns, "write", write)


def moves_make_nothing_due(patch: Patch) -> None:
    """The pointer moves without noting what is due of results."""
    patch.setattr(tandem.views.publishing.pointer, "mark_moved", lambda *arguments: None)


def promotions_make_nothing_due(patch: Patch) -> None:
    """Another version is served without noting what is due of results: what batch and live publish is."""
    intact = tandem.views.results.due.marking.mark_moved

    def mark_moved(connection: Any, served: Any, wanted: Any) -> None:
        if served is None or served.definition == wanted.definition.id:
            intact(connection, served, wanted)

    patch.setattr(tandem.views.publishing.pointer, "mark_moved", mark_moved)


def every_mark_is_the_same(patch: Patch) -> None:
    """Who works off what is due also removes what became due meanwhile."""
    for module in (tandem.views.results.due.marking, tandem.views.results.due.expanding):
        patch.setattr(module, "fresh_mark", lambda: 1)


# The trigger hastens, the view says what


def only_panes_drain(patch: Patch) -> None:
    """Who delivers sends what panes have made, and makes nothing of what else is due."""
    patch.setattr(Drainer, "drain", lambda self, now: 0)


def panes_say_the_timing(patch: Patch) -> None:
    """The end of a pane's window is taken for what is over."""
    nudges = tandem.transforms.results.nudges
    intact = WrittenWatermark.at

    def drained(self: Any) -> int:
        store = open_store(self._live_run.store)
        end = self._window.max_timestamp().micros + 1
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(WrittenWatermark, "at", lambda mark, scope, now: max(intact(mark, scope, now), end))
            return Drainer(store, self._compiled).drain(wall_clock())

    patch.setattr(nudges._Drain, "_drained", drained)


# Revisions


def revisions_are_not_compared(patch: Patch) -> None:
    """Who was overtaken between reading and writing a revision writes it all the same."""
    intact = Drainer._write

    def write(self: Any, name: str, seen: Any, now: int) -> Any:
        with self._store.database.read() as connection:
            served = self._store.publishing.served(self._compiled.definition.name)
            places = [(each.found.start, each.found.key) for each in seen.revisions]
            known = tandem.views.results.due.choosing.lasts_at(connection, served.name, name, places)
        revisions = [replace(each, last=known.get(place)) for each, place in zip(seen.revisions, places, strict=True)]
        scope = replace(seen.scope, publication=served.ordinal)
        return intact(self, name, replace(seen, scope=scope, revisions=revisions), now)

    patch.setattr(Drainer, "_write", write)


def last_revisions_are_not_compared(patch: Patch) -> None:
    """Only the publication is: two that have read the same write the same number."""
    patch.setattr(tandem.views.results.revisions.draining, "_is_next", lambda *arguments: True)


def publications_are_not_compared(patch: Patch) -> None:
    """Only the last revisions are: what was read of one publication is written under another."""
    intact = Drainer._write

    def write(self: Any, name: str, seen: Any, now: int) -> Any:
        served = self._store.publishing.served(self._compiled.definition.name)
        return intact(self, name, replace(seen, scope=replace(seen.scope, publication=served.ordinal)), now)

    patch.setattr(Drainer, "_write", write)


def timing_falls(patch: Patch) -> None:
    """What changes after the watermark is early again."""
    changed = dict.fromkeys(tandem.views.results.clocks.Timing, tandem.views.results.clocks.Timing.EARLY)
    patch.setattr(tandem.views.results.clocks, "_CHANGED", changed)


def timing_alone_is_not_sent(patch: Patch) -> None:
    """A window that is over, or settled, with the values of before isn't sent again."""
    intact = tandem.views.results.revisions.revising.revision_of

    def revision_of(compiled: Any, name: Any, clocks: Any, found: Any, last: Any) -> Any:
        same = last is not None and (found.answer, found.end) == (last.answer, last.end)
        return None if same else intact(compiled, name, clocks, found, last)

    patch.setattr(tandem.views.results.revisions.draining, "revision_of", revision_of)


# FINAL


def batch_makes_all_final(patch: Patch) -> None:
    """Whatever batch has is final, wherever the journal's lanes stood at its boundary."""
    _settled(patch, lambda clocks, scope: 2**62 if scope.batch_run is not None else clocks.settled)


def the_live_watermark_makes_final(patch: Patch) -> None:
    """Live's own watermark settles windows, and not that of the journal at the boundary."""
    _settled(patch, lambda clocks, scope: clocks.over if scope.batch_run is not None else clocks.settled)


def _settled(patch: Patch, settled: Callable[[Any, Any], int]) -> None:
    intact = Clocks.of

    def of(scope: Any, lateness: int, over: int) -> Clocks:
        clocks = intact(scope, lateness, over)
        return replace(clocks, settled=settled(clocks, scope))

    patch.setattr(Clocks, "of", of)


# Only the served run emits


def any_version_takes_the_lease(patch: Patch) -> None:
    """A version that only catches up keeps the served one's deliverer waiting."""
    patch.setattr(Deliverer, "_is_served", lambda self: True)


def any_version_drains(patch: Patch) -> None:
    """A version that only catches up makes revisions, of what is served, by its own measures."""
    intact = tandem.views.answers.reading.scope.read_scope

    def read_scope(connection: Any, chains: Any, compiled: Any) -> Any:
        of = sa.select(definitions.c.version).join(publications, publications.c.definition == definitions.c.id)
        served = of.join(pointers, pointers.c.publication == publications.c.ordinal)
        version = connection.execute(served.where(pointers.c.name == compiled.definition.name)).scalar()
        return intact(connection, chains, SimpleNamespace(definition=compiled.definition, version=version))

    patch.setattr(tandem.views.results.revisions.draining, "read_scope", read_scope)
    patch.setattr(Deliverer, "_is_served", lambda self: True)


# Early messages that wait


def taken_messages_are_replaced(patch: Patch) -> None:
    """An early message that may have been seen is changed under its number."""
    patch.setattr(tandem.views.outbox.messages, "TAKEN", tandem.views.outbox.messages.WAITING)


def early_messages_pile_up(patch: Patch) -> None:
    """Early messages that nobody has taken stay where they are, and each has one behind it."""
    patch.setattr(tandem.views.results.revisions.writing, "_replaced", lambda *arguments: {})


def replacements_count_on(patch: Patch) -> None:
    """What takes the place of a message that nobody has seen has the next number, and leaves a gap."""
    intact = tandem.views.results.revisions.writing._follows

    def follows(revision: Any, replaced: Any, floor: int) -> tuple[int, str | None]:
        number, base = intact(revision, replaced, floor)
        return number + (revision.last is not None and (revision.last.start, revision.last.key) in replaced), base

    patch.setattr(tandem.views.results.revisions.writing, "_follows", follows)


# The outbox


def the_outbox_has_a_transaction_of_its_own(patch: Patch) -> None:
    """Revisions are committed, then their messages put: who dies in between has sent neither."""
    held = list[Any]()
    put, intact = tandem.views.outbox.records.put_records, Drainer._write
    patch.setattr(
        tandem.views.results.revisions.writing, "put_records", lambda database, connection, *what: held.append(what)
    )

    def write(self: Any, *arguments: Any) -> Any:
        del held[:]
        done = intact(self, *arguments)
        while held and done is not None:
            with self._store.database.write(durable=True) as connection:
                put(self._store.database, connection, *held.pop())
        return done

    patch.setattr(Drainer, "_write", write)


# Delivery


def fences_are_not_compared(patch: Patch) -> None:
    """Who has lost the lease goes on taking and forgetting messages."""

    @contextmanager
    def held(database: Any, lease: Any) -> Iterator[Any]:
        with database.write(durable=True) as connection:
            yield connection

    patch.setattr(tandem.views.outbox.messages, "held", held)


def holders_share_a_fence(patch: Patch) -> None:
    """A new holder of the lease has the number of the one before it."""

    def acquire(database: Any, name: str, holder: str, now: int) -> Lease | None:
        c = result_leases.c
        with database.write(durable=True) as connection:
            insert = database.insert(result_leases).on_conflict_do_nothing()
            connection.execute(insert, {"name": name, "holder": "", "fence": 0, "until": 0})
            row = connection.execute(sa.select(result_leases).where(c.name == name)).one()
            if row.holder != holder and row.until > now:
                return None
            values = {"holder": holder, "until": now + LEASE}
            connection.execute(result_leases.update().where(c.name == name).values(values))
        return Lease(name, holder, 0, now + LEASE)

    patch.setattr(tandem.pipelines.delivery.deliverer, "acquire_lease", acquire)


def leases_keep_nobody_waiting(patch: Patch) -> None:
    """Every caller gets the lease, while another delivers."""
    intact = tandem.views.outbox.leases.acquire_lease
    later = 10 * LEASE
    patch.setattr(
        tandem.pipelines.delivery.deliverer,
        "acquire_lease",
        lambda database, name, holder, now: intact(database, name, holder, now + later),
    )


def messages_are_forgotten_before_they_are_sent(patch: Patch) -> None:
    """What a deliverer takes is gone from the outbox at once: sent at most once."""
    deliverer = tandem.pipelines.delivery.deliverer
    intact = tandem.views.outbox.messages.take_messages

    def take(database: Any, lease: Any, output: str, most: int, sent: Any = None, now: int = 0, after: int = 0) -> Any:
        messages = intact(database, lease, output, most, None, now, after)
        if messages:
            intact(database, lease, output, most, tandem.views.outbox.messages.Sent(messages, {}), now)
        return messages

    patch.setattr(deliverer, "take_messages", take)


# Keys


def keys_are_made_when_messages_are_taken(patch: Patch) -> None:
    """One state that is sent twice has two idempotency keys."""
    intact = tandem.views.outbox.messages.take_messages

    def take(*arguments: Any) -> Any:
        messages = intact(*arguments)
        return messages and [_renamed(each, secrets.token_hex(16)) for each in messages]

    patch.setattr(tandem.pipelines.delivery.deliverer, "take_messages", take)


def _renamed(message: Any, key: str) -> Any:
    return replace(message, id=key, payload=message.payload.replace(f'"id":"{message.id}"', f'"id":"{key}"', 1))


def keys_are_of_values_alone(patch: Patch) -> None:
    """Two revisions of one window and key with the same values have one idempotency key."""
    intact = tandem.views.results.revisions.revising.identity_of
    patch.setattr(
        tandem.views.results.revisions.writing,
        "identity_of",
        lambda compiled, name, revision, number: intact(
            compiled, name, replace(revision, timing=tandem.views.results.clocks.Timing.LATE), 0
        ),
    )


# No fan-out


def nudges_are_windowed_as_results_are(patch: Patch) -> None:
    """A nudge goes into each of several sliding windows."""
    patch.setattr(tandem.transforms.results.nudges, "FixedWindows", lambda size: SlidingWindows(size, size / 4))


def each_key_is_a_nudge(patch: Patch) -> None:
    """Every row that is written is a nudge of its own."""
    writer = tandem.transforms.results.nudges._WriteAndNudge

    def process(self: Any, row: Any) -> None:
        self._tiles |= {row.tile + number for number in range(row.block.num_rows)}
        super(writer, self).process(row)

    patch.setattr(writer, "process", process)


def every_open_window_is_early(patch: Patch) -> None:
    """Of overlapping windows not only the one that ends next is sent early."""
    patch.setattr(tandem.views.results.due.expanding, "LATER", 0)


def no_budget_is_held(patch: Patch) -> None:
    """Any overlap of windows of any number of keys is let through."""
    patch.setattr(tandem.schemas.result_windows.checks, "MOST_STATES", 2**62)


RULES: dict[str, tuple[Break, ...]] = {
    "due rows are in every transaction that changes an answer": (
        live_writes_make_nothing_due,
        repeated_writes_make_nothing_due,
        due_rows_have_a_transaction_of_their_own,
        moves_make_nothing_due,
        promotions_make_nothing_due,
        every_mark_is_the_same,
    ),
    "the trigger hastens, the view says what": (only_panes_drain, panes_say_the_timing),
    "revisions are written by compare-and-swap on revision and publication": (
        revisions_are_not_compared,
        last_revisions_are_not_compared,
        publications_are_not_compared,
    ),
    "they are sent when values or timing rise": (timing_falls, timing_alone_is_not_sent),
    "FINAL is by the journal": (batch_makes_all_final, the_live_watermark_makes_final),
    "only the served run emits": (any_version_takes_the_lease, any_version_drains),
    "EARLY messages that wait are replaced in place": (
        taken_messages_are_replaced,
        early_messages_pile_up,
        replacements_count_on,
    ),
    "the outbox is written with the revision": (the_outbox_has_a_transaction_of_its_own,),
    "one delivers, by a lease with a fencing number, at least once": (
        fences_are_not_compared,
        holders_share_a_fence,
        leases_keep_nobody_waiting,
        messages_are_forgotten_before_they_are_sent,
    ),
    "one state has one idempotency key": (keys_are_made_when_messages_are_taken, keys_are_of_values_alone),
    "no fan-out in the runner": (
        nudges_are_windowed_as_results_are,
        each_key_is_a_nudge,
        every_open_window_is_early,
        no_budget_is_held,
    ),
}
"""The rules of results, and what offends each."""

RESULT_BREAKS: dict[str, Break] = {made.__name__: made for rule in RULES.values() for made in rule}
