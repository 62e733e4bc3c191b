"""A definition of every exact measure over sales, ways to write sales down, and a naive oracle of their answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pyarrow as pa

from samples.sources import OF_SHOPS
from tandem.journal.broker.memory import Message, messages_of
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import Definition, loads

SECOND = 1_000_000
TILE = 10 * SECOND
LATENESS = 10 * SECOND
OUT_OF_ORDERNESS = 5 * SECOND
START = 1_700_000_000 * SECOND
OVERFLOWS = 2**40
"""Units whose square no int64 holds: the expression fails."""

TEXT = (
    OF_SHOPS
    + """\
where: kind <> 'skip'
derive:
  square: units * units
key: shop
tile: 10s
lateness: 10s
freshness: 500ms
deduplicate: {deduplicate}
measures:
  sales: count
  revenue: {{sum: amount}}
  units: {{sum: units}}
  lowest: {{min: square}}
  highest: {{max: amount}}
  mean: {{mean: amount}}
  spread: {{variance: amount}}
  kinds: {{distinct: kind}}
  buyers: {{approx_distinct: id}}
  quantiles: {{quantiles: amount, at: [0.5, 0.9]}}
  top: {{top_k: kind, k: 2}}
  first: {{first: amount}}
  last: {{last: amount}}
"""
)


def text(name: str = "sales", *, format: str = "json", deduplicate: bool = True) -> str:
    """The definition's YAML."""
    return TEXT.format(name=name, format=format, deduplicate=str(deduplicate).lower())


def definition(name: str = "sales", *, format: str = "json", deduplicate: bool = True) -> Definition:
    """The definition."""
    return loads(text(name, format=format, deduplicate=deduplicate))


def compiled(name: str = "sales", **options: Any) -> CompiledDefinition:
    """The definition, ready to run."""
    return compile_definition(definition(name, **options))


@dataclass(frozen=True, order=True)
class Sale:
    """One event; `at` in microseconds UTC."""

    id: str
    at: int
    shop: str | None = "a"
    amount: float = 1.0
    units: int | None = 1
    kind: str = "book"

    def record(self) -> dict[str, Any]:
        """As the Avro schema has it."""
        return {name: getattr(self, name) for name in ("id", "at", "shop", "amount", "units", "kind")}

    def payload(self) -> bytes:
        """As a JSON message."""
        return json.dumps(self.record()).encode()

    @property
    def fate(self) -> str:
        """What becomes of it, late or not: 'event', 'filtered' or 'dead'."""
        if self.kind == "skip":
            return "filtered"
        return "dead" if self.units is not None and abs(self.units) >= OVERFLOWS else "event"

    @property
    def tile(self) -> int:
        """Start of its tile."""
        return self.at // TILE * TILE

    @property
    def key(self) -> str:
        """Canonical key."""
        return json.dumps([self.shop], ensure_ascii=False)


def items(first: int, count: int, *, every: int = 3 * SECOND) -> list[Sale]:
    """Sales of a few tiles, shops and kinds, so many microseconds apart."""
    shops, kinds = ["a", "b", "ü"], ["book", "film"]
    return [
        Sale(f"s{n}", START + n * every, shops[n % 3], 0.1 * n, None if n % 5 == 0 else n, kinds[n % 2])
        for n in range(first, first + count)
    ]


def read_sale(payload: bytes) -> Sale | None:
    """The sale of a JSON message; None for what isn't one."""
    try:
        return Sale(**json.loads(payload))
    except (ValueError, TypeError):
        return None


def messages(payloads: Iterable[bytes]) -> pa.RecordBatch:
    """Raw messages with ids and times of their own."""
    return messages_of([Message(f"m{n}", data, START, {"n": str(n)}) for n, data in enumerate(payloads)])


def expected(sales: Iterable[Sale]) -> dict[tuple[str, int], dict[str, Any]]:
    """By (key, tile) what the exact measures must say of these events, each once: plain Python, nothing shared."""
    groups: dict[tuple[str, int], list[Sale]] = {}
    for sale in set(sales):
        if sale.fate == "event":
            groups.setdefault((sale.key, sale.tile), []).append(sale)
    return {place: _measures(mine) for place, mine in groups.items()}


def _measures(sales: list[Sale]) -> dict[str, Any]:
    amounts = [Fraction(sale.amount) for sale in sales]
    units = [sale.units for sale in sales if sale.units is not None]
    kinds = Counter(sale.kind for sale in sales)
    ordered = sorted(sales, key=lambda sale: (sale.at, sale.id, sale.amount))
    return {
        "sales": len(sales),
        "revenue": float(sum(amounts)),
        "units": sum(units) if units else None,
        "lowest": min((n * n for n in units), default=None),
        "highest": max(sale.amount for sale in sales),
        "mean": float(sum(amounts) / len(amounts)),
        "kinds": len(kinds),
        "first": ordered[0].amount,
        "last": ordered[-1].amount,
    }


def differences(
    found: Mapping[tuple[str, int], Mapping[str, Any]], wanted: Mapping[tuple[str, int], Mapping[str, Any]]
) -> list[str]:
    """Where answers differ from the oracle's, measure by measure; only those that the oracle has."""
    wrong = [f"{place}: no answer" for place in sorted(wanted.keys() - found.keys())]
    wrong += [f"{place}: an answer without events" for place in sorted(found.keys() - wanted.keys())]
    for place in sorted(wanted.keys() & found.keys()):
        for name, value in wanted[place].items():
            if found[place][name] != value:
                wrong.append(f"{place} {name}: {found[place][name]!r} instead of {value!r}")
    return wrong
