"""A small view with rules, driven by hand as in `result_stories`, and what a backtest of the same events says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from tandem.pipelines.backtest.history import Amount, History
from tandem.pipelines.backtest.judging import backtest
from tandem.pipelines.delivery.deliverer import Deliverer
from tandem.schemas.columns import GENERATION
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import loads
from tandem.schemas.rules.compiled import compile_rules
from tandem.schemas.states import empty_block, merge_blocks
from tandem.schemas.time.durations import MINUTE
from tandem.views.answers.reading.scope import read_scope
from tandem.views.dead_letters.tables import dead_letters
from tandem.views.decisions.progress import read_progress
from tandem.views.decisions.tables import decision_episodes, decision_receipts
from tandem.views.results.clocks import Clocks
from tandem.views.storage.tables import definitions
from without_runner.result_stories import BEGIN, TEXT, Story

__all__ = ["AlertStory", "Settled", "rules_definition", "rules_text"]


def rules_definition(rules: str, *, lateness: str = "0s") -> CompiledDefinition:
    """`visits` with these rules, as YAML."""
    return compile_definition(loads(rules_text(rules, lateness=lateness)))


def rules_text(rules: str, *, lateness: str = "0s") -> str:
    """The same as it is written."""
    text = TEXT.format(result="{}", tile="1m", lateness=lateness, measures="{n: count, amount: {sum: amount}}")
    return text.replace("results: {r: {}}", f"rules: {rules}")


@dataclass(frozen=True, order=True)
class Settled:
    """An episode by settled windows alone; minutes after BEGIN."""

    rule: str
    key: str
    since: float
    fired: float
    last: float
    resolved: float | None


class AlertStory(Story):
    """A view of events that is written, published and decided on step by step."""

    def new_deliverer(self, holder: str) -> Deliverer:
        deliverer = Deliverer(self.store, self.compiled, holder, lambda: self.now)
        labels = {action.label for rule in self.compiled.definition.rules.values() for action in rule.to}
        deliverer._writers = dict.fromkeys(labels, self.output)
        return deliverer

    def change(self, rules: str) -> None:
        """Deliver by other rules from now on."""
        self.compiled = rules_definition(rules)
        self.store.definitions.register(self.compiled, "")
        self.deliverer.close()
        self.deliverer = self.new_deliverer("changed")

    def dead_letter(self) -> None:
        """A message that can't be decoded, of which nothing has become yet."""
        with self.store.database.write() as connection:
            number = connection.execute(
                sa.select(definitions.c.id).where(definitions.c.version == self.version)
            ).scalar_one()
            row = (number, "L/0/1", 1, 1, "open", 0, 0)
            self.store.database.write_rows(connection, self.store.database.insert_new(dead_letters), [row])

    def told(self) -> list[tuple[Any, ...]]:
        """What is sent in one round: (state, status, user, since and last in minutes)."""
        return [
            (m["state"], m["status"], m["key"]["user"], m["since"][11:16], m["last"][11:16]) for m in self.deliver()
        ]

    def episodes(self) -> list[sa.Row[Any]]:
        with self.store.database.read() as connection:
            query = sa.select(decision_episodes).order_by(decision_episodes.c.rule, decision_episodes.c.ordinal)
            return list(connection.execute(query))

    def states(self) -> list[tuple[str, str, float]]:
        """(state, key, since) of each episode."""
        return [(row.state, row.key, minutes(row.since)) for row in self.episodes()]

    def receipts(self) -> int:
        with self.store.database.read() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(decision_receipts)).scalar_one())

    def settled(self) -> list[Settled]:
        """The settled episodes, as the store has them, of the rules as they are now."""
        versions = {rule.name: rule.version for rule in compile_rules(self.compiled, self.compiled.definition.rules)}
        return sorted(
            Settled(
                *(row.rule, row.key, minutes(row.since), minutes(row.fired), minutes(row.settled_last)),
                None if row.settled_resolved is None else minutes(row.settled_resolved),
            )
            for row in self.episodes()
            if row.settled and row.state in ("CONFIRMED", "RAISED_LATE") and row.version == versions.get(row.rule)
        )

    def backtested(self) -> list[Settled]:
        """The episodes of a backtest of all that batch has, up to what is settled."""
        with self.store.database.read() as connection:
            scope = read_scope(connection, self.store.chains, self.compiled)
        found = list[Settled]()
        for rule in compile_rules(self.compiled, self.compiled.definition.rules):
            lateness = rule.rule.lateness_of(self.compiled.definition.lateness)
            until = Clocks.of(scope, lateness, scope.watermark or 0).settled
            with self.store.database.read() as connection:
                progress = read_progress(connection, "visits", rule.name)
            history = self._history(scope.boundary)
            if history.amount.first is None or until < 0 or not progress.version:
                continue
            first = progress.first if progress.first is not None else 0
            chosen = rule.rule.model_copy(update={"since": _iso(first)})
            (compiled,) = compile_rules(self.compiled, {rule.name: chosen})
            (judged,) = backtest(self.compiled, history, [compiled], until, workers=1)
            found += [
                Settled(
                    *(rule.name, each.key, minutes(each.since), minutes(each.fired), minutes(each.last)),
                    None if each.resolved is None else minutes(each.resolved),
                )
                for each in judged.alerts
            ]
        return sorted(found)

    def _history(self, boundary: int) -> History:
        events = [event for event in [*self.events, *self.late] if event.generation <= boundary]
        tiles = sorted({self._tile(event) for event in events})
        blocks = [_at(self._block([e for e in events if self._tile(e) == tile]), tile) for tile in tiles]
        measures = self.compiled.measures
        block = merge_blocks(measures, blocks) if blocks else empty_block(measures)
        times = [event.time for event in events]
        return History(block, MINUTE, Amount(first=min(times, default=None), last=max(times, default=None)))


def _at(block: pa.RecordBatch, tile: int) -> pa.RecordBatch:
    column = pa.array(np.full(block.num_rows, tile, np.int64))
    return block.set_column(block.schema.get_field_index(GENERATION), block.schema.field(GENERATION), column)


def minutes(at: int) -> float:
    return (at - BEGIN) / MINUTE


def _iso(at: int) -> str:
    from datetime import UTC, datetime, timedelta

    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).isoformat()
