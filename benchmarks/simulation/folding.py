"""The cost of shards: one tile of a definition, folded bundle by bundle, each shard separately."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random

import pyarrow as pa

from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import loads
from tandem.schemas.messages import MESSAGE_SCHEMA
from tandem.transforms.elements import FoldUpdateCoder, SourceBatch, TileKey
from tandem.transforms.fold.state import TileState
from tandem.transforms.routing.spreading import place_of
from tandem.transforms.routing.tiles import route
from tandem.transforms.sources.decoding import observe, source_readings

__all__ = ["TEXT", "Folded", "Folding", "simulate_folding"]

TEXT = """
name: simulated
source:
  schema:
    type: record
    name: Event
    fields:
      - {name: id, type: string}
      - {name: at, type: {type: long, logicalType: timestamp-micros}}
      - {name: shop, type: string}
      - {name: amount, type: double}
  format: json
  event_id: id
  event_time: at
key: shop
tile: 1d
measures:
  events: count
  amount: {sum: amount}
"""
_START = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z."""


@dataclass(frozen=True, slots=True)
class Folding:
    """The simulated case."""

    shards: int
    bundles: int = 20
    events: int = 5_000
    """Events of a bundle."""
    keys: int = 2_000
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Folded:
    """The counts and the cost."""

    counted: int
    conflicts: int
    updates: int
    """Updates that the view store has to write: a transaction for each worker and bundle, a lock for each update."""
    sent: int
    """Bytes of the updates."""
    busiest: float
    """The busiest shard's share of the events, times the number of shards: 1 is even."""
    seconds: float
    """Processor seconds; measured, so they differ each time."""


def simulate_folding(what: Folding) -> Folded:
    """Fold the bundles of one hot tile."""
    compiled, random = compile_definition(loads(TEXT)), Random(what.seed)
    (reading,) = source_readings([compiled.definition])
    states: dict[TileKey, TileState] = {}
    updates = sent = 0
    begun = time.process_time()
    for number in range(what.bundles):
        messages = _messages(number, what, random)
        decoded, _ = observe([reading], messages)
        version = reading.source.version
        batch = SourceBatch("run/0000", number + 1, 1, version, None, decoded[version], messages=messages)
        for key, events in route(compiled, what.shards, batch).parts:
            state = states.setdefault(key, TileState(compiled, place_of(key)))
            updates += 1
            sent += len(FoldUpdateCoder().encode(state.update([events], "early")))
    tallies = [tally for state in states.values() for tally in state.tallies.values()]
    counted = [sum(tally.counted for tally in state.tallies.values()) for state in states.values()]
    return Folded(
        counted=sum(counted),
        conflicts=sum(tally.conflicts for tally in tallies),
        updates=updates,
        sent=sent,
        busiest=round(max(counted) / sum(counted) * what.shards, 3),
        seconds=round(time.process_time() - begun, 3),
    )


def _messages(number: int, what: Folding, random: Random) -> pa.RecordBatch:
    """The events of a bundle; one in fifty is a copy of an earlier one."""
    ids = [f"{number}-{at if random.random() > 0.02 else at // 2}" for at in range(what.events)]
    texts = [_event(text, what.keys) for text in ids]
    times, none = [_START] * len(ids), [list[tuple[str, str]]()] * len(ids)
    columns = [pa.array(ids), pa.array(times), pa.array(none, MESSAGE_SCHEMA.field(2).type), pa.array(texts)]
    return pa.RecordBatch.from_arrays(columns, schema=MESSAGE_SCHEMA)


def _event(name: str, keys: int) -> bytes:
    random = Random(name)  # copies are equal
    at, shop = _START + random.randrange(80_000) * 1_000_000, random.randrange(keys)
    return f'{{"id":"{name}","at":{at},"shop":"s{shop}","amount":{random.random():.3f}}}'.encode()
