"""A world of sales: see tandem.verification.world.world. What is published is drawn, not given."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from samples.sales import LATENESS, SECOND, START, TILE, Sale, definition, read_sale, text

import tandem.verification.world.world

__all__ = ["STEPS", "Copy", "World", "world_of"]

STEPS = (
    *["publish"] * 6,
    *["pull"] * 8,
    *["fire"] * 6,
    *["wait", "roll", "roll", "bundle fails", "pane fails", "reader dies"],
    *["restart", "build", "build", "publish batch", "publish batch"],
)
"""Kinds of steps to draw from, as often as they are listed."""
_DAY = 86_400
"""Seconds."""


@dataclass(frozen=True)
class Copy:
    """One message as the journal holds it."""

    sale: Sale | None
    generation: int
    watermark: int | None
    """Stored before it, microseconds UTC."""
    segment: tuple[str, int]
    """Lane and number."""

    @property
    def fate(self) -> str:
        """'event', 'filtered' or 'dead'."""
        return self.sale.fate if self.sale is not None else "dead"

    @property
    def late(self) -> bool:
        """By the rule: its tile has been over for the lateness, by the watermark stored before it."""
        if self.fate != "event" or self.watermark is None:
            return False
        assert self.sale is not None
        return self.sale.tile + TILE + LATENESS <= self.watermark


class World(tandem.verification.world.world.World):
    """Sales of several shops, drawn from numbers."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        deduplicate: bool = True,
        lanes: Sequence[int] = (1, 2, 3),
        bad: bool = True,
        shards: Sequence[int] = (1,),
    ) -> None:
        made = definition(deduplicate=deduplicate), text(deduplicate=deduplicate)
        super().__init__(folder, *made, seed=seed, lanes=lanes, shards=shards)
        self.bad, self.now = bad, START
        self.sent: list[Sale] = []
        self.events: dict[tuple[str, int], int] = {}

    def publish(self, choose: Random) -> None:
        """A few messages: disorder, late ones, copies, conflicts, filtered and dead ones."""
        # now and then by so much that every tile is cleared
        self.now += choose.choices([0, 2, 4, 15, 2 * _DAY], [8, 8, 8, 8, 1])[0] * SECOND
        for _ in range(choose.randint(1, 6)):
            kind = choose.choices(["new", "copy", "conflict", "garbage"], [10, 4, 1, self.bad])[0]
            if kind == "garbage":
                self.broker.publish(b"{" + str(choose.random()).encode())
                continue
            sale = self._sale(choose)
            if kind == "copy" and self.sent:
                sale = choose.choice(self.sent[-12:])
            elif kind == "conflict" and self.sent:
                known = choose.choice(self.sent)
                sale = Sale(known.id, known.at, known.shop, known.amount + 1.0, known.units, known.kind)
            self.sent.append(sale)
            self.broker.publish(sale.payload())

    def _sale(self, choose: Random) -> Sale:
        back = choose.choices([0, 2, 5, 12, 25, 60], [6, 5, 3, 2, 2, 1])[0] * SECOND
        return Sale(
            id=f"s{len(self.sent)}",
            at=self.now - back + choose.randrange(SECOND),
            shop=choose.choice([None, "a", "b", "ü"]),
            amount=choose.choice([0.1, 1e16, -1e16, 3.5, 1e-9]),
            units=choose.choice([None, 1, 7, 2**40 if self.bad and choose.random() < 0.2 else 2]),
            kind=choose.choice(["book", "film", "game", "skip"]),
        )

    def sold(self) -> list[Copy]:
        """Every message that the journal holds, in no particular order."""
        return [Copy(read_sale(c.data), c.generation, c.watermark, c.segment) for c in self.copies()]


@contextmanager
def world_of(seed: int, **options: Any) -> Iterator[World]:
    """A world in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tandem-world-") as folder:
        world = World(Path(folder), seed, **options)
        try:
            yield world
        finally:
            world.close()
