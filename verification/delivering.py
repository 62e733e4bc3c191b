"""The deliveries of a world: deliverers that die, are replaced and wake up, and the laws of everything sent.

Once nothing is due, the last revision of each window and key that no trigger holds back equals the answer, and alerts
follow `verification.alerts`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from tandem.journal.storage.blobs import BlobStore
from tandem.pipelines.delivery.deliverer import Deliverer
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.expressions import evaluate_rows
from tandem.schemas.json_values import plain_value
from tandem.schemas.result_windows.checks import EVENTS_NAME
from tandem.schemas.results import results_batch
from tandem.schemas.time.windows import SessionWindow
from tandem.verification.alerts import AlertLaws
from tandem.verification.receiving import Receiver, need
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.point import answer
from tandem.views.answers.reading.scope import read_scope
from tandem.views.answers.session_rows import all_sessions
from tandem.views.decisions.draining import Decider
from tandem.views.decisions.tables import decision_grouped
from tandem.views.outbox.leases import LEASE, read_lease
from tandem.views.outbox.tables import result_outbox
from tandem.views.results.due.choosing import Cursor
from tandem.views.results.due.windows import held_windows
from tandem.views.results.revisions.draining import Drainer
from tandem.views.results.tables import result_due, result_revisions, result_waiting
from tandem.views.store import ViewStore

__all__ = ["Delivery"]

_LONG: Final = 600 * 1_000_000
"""Longer than triggers of `early` and `late` and than any back-off."""


class Delivery:
    """The deliverers of one world's results and alerts, one after the other, and their receiver."""

    def __init__(
        self,
        store: ViewStore,
        compiled: CompiledDefinition,
        journal: BlobStore,
        wall: Callable[[], int],
        advance: Callable[[int], None],
        receiver: Receiver | None = None,
    ) -> None:
        """`wall`: the clock, microseconds UTC; `advance`: moves it forward by microseconds; `receiver`: one that is
        shared with another version of the definition.
        """
        self.store, self.compiled, self.receiver = store, compiled, receiver or Receiver()
        self._wall, self._advance = wall, advance
        self._holders = 0
        self.deliverer = self._new()
        self._asleep: Deliverer | None = None
        self._stopped: Callable[[], object] | None = None
        self.alerts = AlertLaws(store, journal)
        self.compared = 0
        """Number of windows and keys whose last revision was compared with the answer."""

    def _new(self) -> Deliverer:
        self._holders += 1
        deliverer = Deliverer(self.store, self.compiled, f"{self.compiled.version} {self._holders}", self._wall)
        results, rules = self.compiled.definition.results.values(), self.compiled.definition.rules.values()
        places = {place.label for result in results for place in result.to}
        places |= {place.label for rule in rules for place in rule.to}
        deliverer._writers |= dict.fromkeys(places, self.receiver)  # no message reaches a place of the definition's
        return deliverer

    def step(self, kind: str, pick: int) -> None:
        """One of `tandem.verification.deliveries`; `pick` decides all further choices."""
        if kind == "deliver":
            self.deliver()
        elif kind == "deliver later":
            self._advance((1, 7, 30, 90)[pick % 4] * 1_000_000)
            self.deliver()
        elif kind == "output fails":
            self._with(fails=True)
        elif kind == "answer is lost":
            self._with(loses_answers=True)
        elif kind == "deliverer is replaced":
            self.replace(while_it_sends=bool(pick % 2))
        elif kind == "deliverer wakes up" and self._asleep is not None:
            self._asleep.run_once()
        elif kind == "drainer stops":
            self._stop(pick)
        elif kind == "drainer goes on":
            self.go_on()

    def deliver(self) -> None:
        """Run one round; then, if it could deliver and nothing is due, check the laws of the stored state."""
        done = self.deliverer.run_once()
        if done is not None and not done.failed:
            self.check()

    def _with(self, *, fails: bool = False, loses_answers: bool = False) -> None:
        self.receiver.fails, self.receiver.loses_answers = fails, loses_answers
        try:
            self.deliverer.run_once()
        finally:
            self.receiver.fails = self.receiver.loses_answers = False

    def replace(self, *, while_it_sends: bool) -> None:
        """Replace the deliverer: at rest, or after messages were sent and before they are deleted."""
        if while_it_sends:
            self.receiver.interrupt = self._take_over
            self.deliverer.run_once()
            self.receiver.interrupt = None
        else:
            self._take_over()

    def _take_over(self) -> None:
        self._asleep, self.deliverer = self.deliverer, self._new()
        self._outlast()
        self.deliverer.run_once()

    def _outlast(self) -> None:
        """Outlast the lease, whatever the clock was when it was taken."""
        with self.store.database.read() as connection:
            lease = read_lease(connection, self.compiled.definition.name)
        self._advance(LEASE if lease is None else max(lease.until - self._wall(), 0) + 1_000_000)

    def change(self, compiled: CompiledDefinition) -> None:
        """Deliver for the same version with other rules from now on."""
        self.compiled, self._asleep = compiled, None
        self.deliverer.close()
        self.deliverer = self._new()

    def _stop(self, pick: int) -> None:
        """Stop a deliverer between reading what is due and writing."""
        definition = self.compiled.definition
        reads = [partial(self._read_result, name) for name in sorted(definition.results)]
        reads += [partial(self._read_rule, name) for name in sorted(definition.rules)]
        served = self.store.publishing.served(definition.name)
        if served is not None and served.version == self.compiled.version:
            self._stopped = reads[pick % len(reads)]() or self._stopped

    def _read_result(self, name: str) -> Callable[[], object] | None:
        drainer, now = Drainer(self.store, self.compiled), self._wall()
        seen = drainer._read(name, drainer._watermark.over, now, Cursor())
        return None if seen is None else partial(drainer._write, name, seen, now)

    def _read_rule(self, name: str) -> Callable[[], object] | None:
        decider, now = Decider(self.store, self.compiled), self._wall()
        with self.store.database.read() as connection:
            over = decider._watermark.at(read_scope(connection, self.store.chains, self.compiled), now)
        (rule,) = (each for each in decider._rules if each.name == name)
        seen = decider._read(rule, over, now)
        return None if seen is None else partial(decider._write, rule, seen, now)

    def go_on(self) -> None:
        """Let the stopped deliverer write, unless another was faster."""
        stopped, self._stopped = self._stopped, None
        if stopped is not None:
            stopped()

    def settle(self) -> None:
        """Send everything that can be sent, and check the laws."""
        self.go_on()
        self.deliverer = self._new()
        self._outlast()
        for _ in range(4):
            self._advance(_LONG)
            self.deliverer.run_once()
        need(not self._rows(result_due), "tiles are due after all was delivered")
        need(not self._rows(result_outbox), "messages wait after all was delivered")
        need(not self._rows(decision_grouped), "alerts wait for their group after all was delivered")
        self.check()

    def check(self) -> None:
        """Check that the last revisions equal the answers, for windows that aren't held back, if nothing is due."""
        if self._rows(result_due) or self._rows(result_outbox) or self._stopped is not None:
            return
        self._check_results()
        self.alerts.check(self.compiled, self.receiver, waits=bool(self._rows(decision_grouped)))

    def _check_results(self) -> None:
        waiting = self._rows(result_waiting)
        last = {(row.result, row.start, row.key): row for row in self._rows(result_revisions)}
        ids = {row.id for row in last.values()}
        for identity, message in self.receiver.newest.items():
            need(message["id"] in ids, f"{identity}: what was received last isn't the last revision")
        need(len(ids) == len(self.receiver.newest), "a revision was written and never sent")
        for name in self.compiled.definition.results:
            held = {(row.start, row.whole, row.key) for row in waiting if row.result == name}
            known = {
                (start, key): json.loads(row.answer)
                for (result, start, key), row in last.items()
                if result == name and row.answer is not None
            }
            self._compare(name, held, known)

    def _compare(self, name: str, held: set[tuple[int, int, str]], known: dict[tuple[int, str], Any]) -> None:
        session = isinstance(self.compiled.definition.results[name].window, SessionWindow)
        if session and held:
            return  # the tile alone doesn't determine which sessions are held back
        expected = dict(_answers(self.store, self.compiled, name))
        for start, key in sorted({*expected, *known}):
            if (start, 1, "") in held or (start, 0, key) in held:
                continue
            sent, now = known.get((start, key)), expected.get((start, key))
            need(sent == now, f"{name} {start} {key}: last sent is {sent}, the answer is {now}")
            self.compared += 1

    def _rows(self, table: sa.Table) -> Sequence[Any]:
        with self.store.database.read() as connection:
            return connection.execute(sa.select(table).where(table.c.name == self.compiled.definition.name)).all()


def _answers(store: ViewStore, compiled: CompiledDefinition, name: str) -> Iterable[tuple[tuple[int, str], Any]]:
    """The current answers by a window's start and key, each computed separately, in JSON's form."""
    result = compiled.definition.results[name]
    found: list[tuple[tuple[int, str], int, dict[str, Any]]] = []
    if isinstance(result.window, SessionWindow):
        for session in all_sessions(store, compiled, result.window.gap):
            found.append(((session.start, session.key), session.events, session.results))
    else:
        places = {
            (span, row.key)
            for row in all_answers(store, compiled)
            if row.events
            for span in held_windows(result, row.start, compiled.definition.tile)
        }
        for (start, end), key in sorted(places):
            each = answer(store, compiled, key, start, end)
            found.append(((start, key), each.certificate.events, each.results))
    kept = _kept(compiled, name, [(events, results) for _, events, results in found])
    return [(place, plain_value(results)) for (place, _, results), keeps in zip(found, kept, strict=True) if keeps]


def _kept(compiled: CompiledDefinition, name: str, rows: list[tuple[int, dict[str, Any]]]) -> list[bool]:
    condition = dict(compiled.result_wheres).get(name)
    if condition is None or not rows:
        return [True] * len(rows)
    fields = [field for field in condition.schema if field.name in condition.columns]
    named = [{EVENTS_NAME: events, **results} for events, results in rows]
    values, _ = evaluate_rows(condition, results_batch(compiled.measures, named, fields))
    return [value is True for value in values.to_pylist()]
