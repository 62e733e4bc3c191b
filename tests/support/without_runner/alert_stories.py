"""A small view with rules, driven by hand as in `result_stories`, and what a backtest of the same events says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from tandem.pipelines.backtest.history import Amount, History
from tandem.pipelines.backtest.judging import Alert
from tandem.pipelines.delivery.deliverer import Deliverer
from tandem.schemas.columns import GENERATION
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import loads
from tandem.schemas.states import empty_block, merge_blocks
from tandem.schemas.time.durations import MINUTE
from tandem.verification.alerts import backtested_alerts, settled_alerts
from tandem.views.answers.reading.scope import read_scope
from tandem.views.dead_letters.tables import dead_letters
from tandem.views.decisions.tables import decision_episodes, decision_receipts
from tandem.views.storage.tables import definitions
from without_runner.result_stories import BEGIN, TEXT, Story

__all__ = ["AlertStory", "minutes", "rules_definition", "rules_text"]


def rules_definition(rules: str, *, lateness: str = "0s") -> CompiledDefinition:
    """`visits` with these rules, as YAML."""
    return compile_definition(loads(rules_text(rules, lateness=lateness)))


def rules_text(rules: str, *, lateness: str = "0s") -> str:
    """The same as it is written."""
    text = TEXT.format(result="{}", tile="1m", lateness=lateness, measures="{n: count, amount: {sum: amount}}")
    return text.replace("results: {r: {}}", f"rules: {rules}")


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

    def settled(self) -> list[Alert]:
        """The settled episodes, as the store has them, of the rules as they are now."""
        return settled_alerts(self.store, self.compiled)

    def backtested(self) -> list[Alert]:
        """The episodes of a backtest of all that batch has, up to what is settled."""
        with self.store.database.read() as connection:
            boundary = read_scope(connection, self.store.chains, self.compiled).boundary
        return backtested_alerts(self.store, self.compiled, self._history(boundary))

    def _history(self, boundary: int) -> History:
        events = [event for event in [*self.events, *self.late] if event.generation <= boundary]
        tiles = sorted({self._tile(event) for event in events})
        blocks = [_at(self._block([e for e in events if self._tile(e) == tile]), tile) for tile in tiles]
        measures = self.compiled.measures
        block = merge_blocks(measures, blocks) if blocks else empty_block(measures)
        times = [event.time for event in events]
        return History((block,), MINUTE, Amount(first=min(times, default=None), last=max(times, default=None)))


def _at(block: pa.RecordBatch, tile: int) -> pa.RecordBatch:
    column = pa.array(np.full(block.num_rows, tile, np.int64))
    return block.set_column(block.schema.get_field_index(GENERATION), block.schema.field(GENERATION), column)


def minutes(at: int) -> float:
    return (at - BEGIN) / MINUTE
