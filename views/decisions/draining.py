"""Decides due windows: judges them, keeps the verdicts, makes episodes and messages.

A pass of a rule reads everything that it compares in one snapshot, and is written in one transaction, perhaps with
those of other rules, only if no other process has written for the rule since and the same publication is served; else
another pass begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import sqlalchemy as sa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.failpoints import reached
from tandem.schemas.rules.compiled import CompiledRule, compile_rules, inhibiting_first
from tandem.views.answers.reading.scope import read_scope
from tandem.views.decisions.choosing import forget_waiting
from tandem.views.decisions.judging import SharedAnswers, UsualAnswers
from tandem.views.decisions.parts import write_verdicts
from tandem.views.decisions.passes.memory import Memory
from tandem.views.decisions.passes.reading import PassReader, Seen
from tandem.views.decisions.progress import Progress, read_progress, write_progress
from tandem.views.decisions.sending.groups import send_groups
from tandem.views.decisions.superseding import supersede
from tandem.views.decisions.writing import EpisodeWriter
from tandem.views.results.due.expanding import expand_due
from tandem.views.results.watermarks import WrittenWatermark
from tandem.views.storage.tables import pointers
from tandem.views.store import ViewStore

__all__ = ["Decider"]

_TOGETHER: Final = 32
"""Most rules whose input is read together, and held until it is written."""
_ROWS: Final = 1_000
"""Changed rows of verdicts and episodes after which a transaction ends: live waits while one is written."""

Passes = Sequence[tuple[CompiledRule, Seen]]


class Decider:
    """Decides for one definition's rules. Any number may run; each state of an episode is written once."""

    def __init__(self, store: ViewStore, compiled: CompiledDefinition) -> None:
        self._store, self._compiled = store, compiled
        self._rules = inhibiting_first(compile_rules(compiled, compiled.definition.rules))
        self._watermark, self._usual, self._memory = WrittenWatermark(), UsualAnswers(), Memory()

    def drain(self, now: int) -> int:
        """Decide everything that is due at `now` (wall clock, microseconds UTC); returns the number of written states
        of episodes.

        Does nothing before the first publication. Raises StoreError if another version is served.
        """
        database, chains = self._store.database, self._store.chains
        with database.read() as connection:
            scope = read_scope(connection, chains, self._compiled)
        if not scope.publication:
            return 0
        over = self._watermark.at(scope, now)
        while expand_due(database, self._compiled.definition, over, now):
            pass
        supersede(self._store, self._compiled, self._rules, over, now)
        written = 0
        for at in range(0, len(self._rules), _TOGETHER):
            written += self._drain_rules(self._rules[at : at + _TOGETHER], over, now)
        send_groups(database, self._compiled.definition.name, self._rules, now)
        return written

    def _drain_rules(self, rules: Sequence[CompiledRule], over: int, now: int) -> int:
        written, left = 0, list(rules)
        while left:
            read = zip(left, self._read_together(left, over, now), strict=True)
            passes, again = [(rule, seen) for rule, seen in read if seen is not None], list[CompiledRule]()
            for some in _parts(passes):
                for (rule, seen), done in zip(some, self._write_together(some, now), strict=True):
                    written += done or 0
                    if done is not None and seen.chosen.more:
                        again.append(rule)
            left = again  # of the others that were overtaken, the next round reads the changes
        return written

    def _read(self, rule: CompiledRule, over: int, now: int) -> Seen | None:
        """The input of one pass of a rule, of one instant; None without work."""
        return self._read_together([rule], over, now)[0]

    def _read_together(self, rules: Sequence[CompiledRule], over: int, now: int) -> list[Seen | None]:
        """The input of one pass of each rule, all of one instant: they share what they read."""
        with self._store.database.read() as connection:
            scope = read_scope(connection, self._store.chains, self._compiled)
            if not scope.publication:
                return [None] * len(rules)
            progress = read_progress(connection, self._compiled.definition.name)
            shared = SharedAnswers(connection, scope, self._compiled)
            return [self._seen(shared, rule, progress.get(rule.name), over, now) for rule in rules]

    def _seen(
        self, shared: SharedAnswers, rule: CompiledRule, progress: Progress | None, over: int, now: int
    ) -> Seen | None:
        if progress is None or progress.version != rule.version:
            return None
        held = self._memory.of(rule.name, shared.scope.publication, progress)
        return PassReader(shared, self._usual, rule, progress, held, over, now).seen()

    def _write(self, rule: CompiledRule, seen: Seen, now: int) -> int | None:
        """Write one pass."""
        return self._write_together([(rule, seen)], now)[0]

    def _write_together(self, passes: Passes, now: int) -> list[int | None]:
        """Write passes in one transaction; returns the numbers of changed episodes, None for what isn't written: where
        another version is served by now, or another process has written for the rule.

        Passes without changes needn't be durable: all that a loss of power takes is decided again.
        """
        name, database = self._compiled.definition.name, self._store.database
        known, changes = list[Progress | None](), any(seen.changes for _, seen in passes)
        with database.write(durable=changes) as connection:
            pointer = connection.execute(sa.select(pointers).where(pointers.c.name == name).with_for_update()).first()
            stored = read_progress(connection, name)
            for rule, seen in passes:
                is_served = pointer is not None and pointer.publication == seen.scope.publication
                mine = is_served and stored.get(rule.name) == seen.progress
                known.append(self._write_pass(connection, rule, seen, now) if mine else None)
            reached("decisions-drained")
        return [self._written(*each, progress) for each, progress in zip(passes, known, strict=True)]

    def _write_pass(self, connection: sa.Connection, rule: CompiledRule, seen: Seen, now: int) -> Progress:
        """The progress of a rule with a pass that was written."""
        name, database, before = self._compiled.definition.name, self._store.database, seen.progress
        write_verdicts(database, connection, name, rule.name, seen.parts)
        writer = EpisodeWriter(
            *(database, connection, self._compiled, rule, seen.scope),
            lambda key, start: seen.verdicts[key, start],
            *(now, before.passes + 1),
        )
        progress = seen.written(writer.write(seen.changes, before.episodes))
        write_progress(database, connection, name, rule.name, progress)
        forget_waiting(connection, seen.chosen.waiting)
        return progress

    def _written(self, rule: CompiledRule, seen: Seen, progress: Progress | None) -> int | None:
        """Remember a pass once its transaction has ended."""
        if progress is None:
            return None
        if (state := seen.remembered(rule, progress)) is not None:
            self._memory.keep(rule.name, state)
        return len(seen.changes)


def _parts(passes: Passes) -> Iterator[Passes]:
    """Passes whose transactions are short."""
    part, rows = list[tuple[CompiledRule, Seen]](), 0
    for rule, seen in passes:
        part.append((rule, seen))
        rows += len(seen.parts.written) + len(seen.changes)
        if rows >= _ROWS:
            yield part
            part, rows = [], 0
    if part:
        yield part
