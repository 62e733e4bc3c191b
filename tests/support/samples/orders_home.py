"""A home with one definition, `orders`, written through the view store's own calls, and the command line over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from typer.testing import CliRunner, Result

from samples.updates import Segment, Tally, Update, block_of
from tandem.app import app
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import load
from tandem.views.rows import BatchManifest, GenerationCounts
from tandem.views.store import ViewStore

__all__ = ["DAY_START", "DEFINITION", "HOUR", "Installation", "Order", "serve_orders"]

HOUR = 3_600_000_000
DAY_START = 1_767_571_200_000_000
"""2026-01-05T00:00:00Z."""

DEFINITION = """\
name: orders
source:
  schema:
    type: record
    name: Order
    fields:
      - {name: id, type: string}
      - {name: at, type: {type: long, logicalType: timestamp-micros}}
      - {name: shop, type: string}
      - {name: currency, type: string}
      - {name: amount, type: double}
  format: json
  event_id: id
  event_time: at
key: [shop, currency]
tile: 1h
lateness: 1h
measures:
  orders: count
  amount: {sum: amount}
  largest: {max: amount}
  newest: {max: at}
  mean: {mean: amount}
  spread: {stddev: amount}
  middle: {quantiles: amount, at: [0.5]}
  shops: {top_k: shop, k: 2}
windows:
  day: 1d
  three_hours: {size: 3h, every: 1h}
"""


@dataclass(frozen=True)
class Order:
    """One event: `hour` of 2026-01-05."""

    hour: float
    amount: float
    shop: str = "mill"
    currency: str = "EUR"
    generation: int = 1


Taken = Order
"""An event of an installation, whose class has the name `Order` within it, too."""


class Installation:
    """A home folder, its view store, and `tandem` run on it."""

    Order, Segment = Order, Segment
    day, hour = DAY_START, HOUR

    def __init__(self, folder: Path, text: str = DEFINITION) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.file = folder / "orders.yaml"
        self.file.write_text(text, encoding="utf-8")
        self.text = text
        self.compiled = compile_definition(load(self.file))
        self.version = self.compiled.version
        self.store = ViewStore(str(self.home / "views.db"))
        self.store.definitions.register(self.compiled, text)

    def run(self, *arguments: str) -> Result:
        """`tandem ARGUMENTS` with this home, in this process."""
        return CliRunner().invoke(app, list(arguments), env={"TANDEM_HOME": str(self.home)})

    def updates(self, orders: Sequence[Taken]) -> Iterator[Update]:
        """One update a tile."""
        tiles = sorted({int(order.hour) for order in orders})
        for tile in tiles:
            mine = [order for order in orders if int(order.hour) == tile]
            generations = sorted({order.generation for order in mine})
            tallies = [Tally(g, sum(order.generation == g for order in mine)) for g in generations]
            yield Update(DAY_START + tile * HOUR, 0, self.block(mine), tallies)

    def block(self, orders: Sequence[Taken]) -> pa.RecordBatch:
        columns = {name: [getattr(order, name) for order in orders] for name in ("shop", "currency", "amount")}
        times = [DAY_START + int(order.hour * HOUR) for order in orders]
        return block_of(self.compiled, times, [order.generation for order in orders], columns)

    def batch(
        self, batch_run: str, boundary: int, orders: Sequence[Taken], *, parent: str | None = None, **options: Any
    ) -> None:
        """A finished batch run of these events."""
        before = self.store.batch.get(parent).boundary if parent else 0
        self.store.batch.start(self.version, batch_run, boundary=boundary, parent=parent, **options)
        self.store.batch.write(self.compiled, batch_run, list(self.updates(orders)))
        counts = dict.fromkeys(range(before + 1, boundary + 1), 0)
        for order in orders:
            counts[order.generation] += 1
        numbers = tuple(GenerationCounts(g, received=n, counted=n) for g, n in counts.items())
        self.store.batch.finish(batch_run, BatchManifest(numbers))

    def live(self, run: str, orders: Sequence[Taken], *, lost: int = 0, **fates: object) -> None:
        """Segments of these events, one a generation, folded; `lost` more of the last aren't folded."""
        for generation in sorted({order.generation for order in orders}):
            mine = [order for order in orders if order.generation == generation]
            received = len(mine) + lost
            segment = Segment(f"{run}/0000", generation, generation, received, received)
            self.store.live.write_segments(self.version, run, [segment])
            self.store.live.write(self.compiled, run, list(self.updates(mine)))


def serve_orders(made: Installation) -> None:
    """Batch up to generation 1 and a live run after it, published: 3 events of `mill,EUR` from 8:00, 2 from 9:00."""
    made.store.live.start(made.version, "000001-aa")
    first = [Order(8.1, 2.5), Order(8.2, 4.0), Order(8.3, 1.0, shop="oak")]
    made.live("000001-aa", first)
    made.batch("b-1", 1, first, built_for="000001-aa")
    made.live("000001-aa", [Order(8.5, 8.0, generation=2), Order(9.5, 16.0, generation=3)])
    made.store.live.set_watermark(made.version, "000001-aa", DAY_START + 10 * HOUR)
    made.store.publishing.publish("orders", made.version, "b-1", "000001-aa")
