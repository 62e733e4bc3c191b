"""Orders: a definition over them, and what it must answer, by SQL over the raw messages, without Tandem's code."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import duckdb
import fastavro
import pyarrow as pa

from samples.sources import OF_SHOPS

__all__ = [
    "DEAD",
    "HOUR",
    "SECOND",
    "START",
    "TILE",
    "Answers",
    "Journaled",
    "States",
    "answers",
    "definition",
    "disordered",
    "in_order",
    "journaled",
    "order",
    "ready",
    "states",
]

SECOND: Final = 1_000_000
HOUR: Final = 3600 * SECOND
TILE: Final = 10 * SECOND
START: Final = 1_700_000_000 * SECOND

Answers = dict[tuple[str, int], dict[str, Any]]
"""(key, start of the tile) -> measures."""
States = dict[tuple[int, str, int], dict[str, Any]]
"""(generation, key, start of the tile) -> measures."""
Journaled = list[tuple[int, bytes]]
"""(generation, payload) of every message."""

_TEXT: Final = (
    OF_SHOPS
    + """\
where: kind <> 'test'
key: [{key}]
tile: 10s
lateness: {lateness}
freshness: {freshness}
measures:
  orders: count
  revenue: {{sum: amount}}
  units: {{sum: units}}
  least: {{min: amount}}
  most: {{max: amount}}
  mean: {{mean: amount}}
  kinds: {{distinct: kind}}
  first: {{first: amount}}
  last: {{last: amount}}
"""
)

DEAD: Final = (
    b"garbage",
    b'{"id": "unfinished", "at": 17000',
    b'{"id": "no time", "shop": "a", "amount": 1.5, "units": 1, "kind": "web"}',
    b'{"id": "a text for a number", "at": 1700000000000000, "shop": "a", "amount": "much", "units": 1, "kind": "web"}',
    b"\xff\xfe\x00",
    b"[]",
)
"""Messages that are no orders."""

_EVENTS: Final = """
with texts as (select generation, decode(payload) as text from raw),
orders as (
  select distinct generation, text, text->>'$.id' as id, (text->>'$.at')::bigint as time, text->>'$.{key}' as name,
    (text->>'$.amount')::double as amount, (text->>'$.units')::bigint as units, text->>'$.kind' as kind
  from texts where text->>'$.kind' <> 'test')
select generation, '[' || coalesce(to_json(name)::varchar, 'null') || ']' as key, time - time % {tile} as start,
  count(*) as orders, sum(amount) as revenue, sum(units)::bigint as units, min(amount) as least, max(amount) as most,
  sum(amount) / count(*) as mean, count(distinct kind) as kinds,
  arg_min(amount, (time, id, amount)) as first, arg_max(amount, (time, id, amount)) as last
from orders group by all
"""
"""Copies are equal in every byte. Amounts are multiples of 0.25, so their sums are exact in any order."""


def definition(
    folder: Path, name: str = "orders", *, key: str = "shop", lateness: str = "30d", freshness: str = "500ms"
) -> Path:
    """Writes it into a folder; with a `lateness` of a month nothing is late on a slow machine either."""
    path = folder / f"{name}.yaml"
    path.write_text(_TEXT.format(name=name, format="json", key=key, lateness=lateness, freshness=freshness))
    return path


def order(number: int, at: int, shop: str | None = "a", kind: str = "web", *, prefix: str = "o") -> bytes:
    """An order at a time in microseconds UTC."""
    amount, units = (number * 37 % 4001) / 4 - 100, None if number % 11 == 0 else number % 97
    content = {"id": f"{prefix}{number}", "at": at, "shop": shop, "amount": amount, "units": units, "kind": kind}
    return json.dumps(content).encode()


def in_order(
    number: int, *, start: int = START, step: int = SECOND // 5, shops: int = 6, first: int = 0, prefix: str = "o"
) -> list[bytes]:
    """Orders one after the other; of some the shop isn't known, some are tests, which don't count."""
    return [
        order(
            n,
            start + n * step,
            None if n % 50 == 7 else f"shop-{n * 7919 % shops}",
            "test" if n % 40 == 3 else ("web", "phone", "desk")[n // 7 % 3],
            prefix=prefix,
        )
        for n in range(first, first + number)
    ]


def disordered(messages: Sequence[bytes], chance: random.Random) -> list[bytes]:
    """By up to 15 places (less than the out-of-orderness), 1 of 12 sent again, 1 of 60 with other content too."""
    timed: list[tuple[float, bytes]] = []
    for at, message in enumerate(messages):
        timed.append((at + chance.uniform(0, 15), message))
        if at % 12 == 5:
            timed.append((at + chance.choice([0, 1, 100, 3000]) * chance.random(), message))
        if at % 60 == 11:
            timed.append((at + 1, json.dumps({**json.loads(message), "amount": -1.5}).encode()))
    return [message for _, message in sorted(timed, key=lambda item: item[0])]


def answers(messages: Iterable[bytes], *, key: str = "shop") -> Answers:
    """What must be answered of these messages, by SQL."""
    rows = _rows(key, [(0, message) for message in messages])
    return {(row["key"], row["start"]): ready(row) for row in rows}


def states(messages: Journaled, *, key: str = "shop") -> States:
    """Likewise, by generation; a copy in another generation counts there too."""
    return {(row["generation"], row["key"], row["start"]): ready(row) for row in _rows(key, messages)}


def _rows(key: str, messages: Journaled) -> list[dict[str, Any]]:
    messages = [(generation, payload) for generation, payload in messages if payload not in DEAD]
    raw = pa.table(
        {
            "generation": pa.array([generation for generation, _ in messages], pa.int64()),
            "payload": pa.array([payload for _, payload in messages], pa.binary()),
        }
    )
    with contextlib.closing(duckdb.connect()) as connection:
        connection.register("raw", raw)
        rows: list[dict[str, Any]] = connection.sql(_EVENTS.format(key=key, tile=TILE)).to_arrow_table().to_pylist()
    return rows


def journaled(folder: Path) -> Journaled:
    """Every message of a journal with its generation, read with a foreign Avro reader."""
    return [
        (generation, data) for path in sorted(folder.glob("lanes/*/*/*.avro")) for generation, data in _segment(path)
    ]


def _segment(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        reader = fastavro.reader(file)
        generation = int(reader.metadata["tandem.generation"])
        for record in reader:
            yield generation, cast(dict[str, bytes], record)["data"]


def ready(results: Mapping[str, Any]) -> dict[str, Any]:
    """An answer's measures as SQL has them."""
    return {name: results[name] for name in _MEASURES}


_MEASURES: Final = ("orders", "revenue", "units", "least", "most", "mean", "kinds", "first", "last")
