"""What a runner keeps of a live job, as bytes: savepoints hold them, and later versions have to read them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from apache_beam.io.unbounded_source import _UnboundedSourceRestriction, _UnboundedSourceRestrictionCoder
from apache_beam.utils.timestamp import Timestamp
from samples import sales
from samples.sales import Sale

from tandem.journal.broker.pubsub import PubSubConfig
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.marks import LaneMark, LanePosition
from tandem.journal.runs.manifests import RunManifest
from tandem.journal.tail import FollowerMark
from tandem.transforms.elements import SourceBatch
from tandem.transforms.fold.state import TileState
from tandem.transforms.packing import pack, unpack
from tandem.transforms.routing.tiles import route
from tandem.transforms.sources import followed as followed_source
from tandem.transforms.sources import journaled as journaled_source
from tandem.transforms.sources.decoding import observe, source_readings
from tandem.transforms.sources.segments import ReadMark

__all__ = ["FILE", "KEPT", "READ", "digest_of", "read_all", "read_kept", "write_kept"]

FILE = Path(__file__).parents[2] / "project" / "golden_kept_state.json"
RUN, LANE, TILE = "000002-ab", 1, (0, 0)
DEFINITION = sales.definition()


def _events(items: list[Sale], generation: int) -> Any:
    (reading,) = source_readings([DEFINITION])
    messages = sales.messages([sale.payload() for sale in items])
    decoded, _ = observe([reading], messages)
    version = reading.source.version
    batch = SourceBatch("run/0000", 7, generation, version, None, decoded[version], messages=messages)
    ((_, events),) = route(sales.compiled(), 1, batch).parts
    return events


def _tile() -> bytes:
    """A snapshot and a delta after it, and the ids of all."""
    state = TileState(sales.compiled(), TILE)
    first = state.update([_events([Sale("a", 1), Sale("b", 2, shop=None, amount=0.1)], 1)], "early")
    snapshot, ids = state.snapshot_bytes(), state.new_parts(first)
    update = state.update([_events([Sale("c", 3, amount=2.5, units=None), Sale("a", 1)], 2)], "late")
    return pack([2], [snapshot, state.delta_bytes(update), *ids, *state.new_parts(update)])


def _read_tile(data: bytes) -> Any:
    (entries,), kept = unpack(data)
    return _said_by_tile(kept[:entries], kept[entries:])


def _read_tile_with_ids(data: bytes) -> Any:
    size = int.from_bytes(data[:8], "little")
    return _said_by_tile([data[8 : 8 + size], data[8 + size :]], [])


def _said_by_tile(entries: list[bytes], ids: list[bytes]) -> Any:
    state = TileState(sales.compiled(), TILE)
    state.restore(entries, ids)
    update = state.update([_events([Sale("a", 1), Sale("d", 4)], 3)], "early")
    return {
        "events": state.events_by_key(0),
        "tallies": [[t.generation, t.counted, t.duplicates, t.conflicts] for t in state.tallies.values()],
        "next": [[t.generation, t.counted, t.duplicates] for t in update.tallies],
    }


def _lane_source() -> tuple[Any, Any]:
    run = RunManifest(RUN, 2, 2, "projects/p/subscriptions/s", 5, 7, "ab", (DEFINITION.source.version,))
    broker, lane = PubSubConfig("projects/p/subscriptions/s", emulator="localhost:1"), LaneConfig({"v": 1_000})
    source = journaled_source.JournaledSource("/journal", run, broker, lane, source_readings([DEFINITION]), number=LANE)
    mark = LaneMark(RUN, LANE, 4, (LanePosition("000001-aa", 0, 9, {"v": 3}),), False, {"v": 11}, {"v": 10})
    return source, ReadMark(mark)


def _followed_source() -> tuple[Any, Any]:
    how = followed_source.FollowConfig("f-1", 3, {"v": 1_000}, 10_000_000, None)
    source = followed_source.FollowedSource("/journal", how, source_readings([DEFINITION]))
    return source, ReadMark(FollowerMark((LanePosition("000001-aa", 0, 9, {"v": 3}),)))


def _restriction(made: Callable[[], tuple[Any, Any]]) -> Callable[[], bytes]:
    def encoded() -> bytes:
        source, mark = made()
        restriction = _UnboundedSourceRestriction(source, mark, Timestamp(micros=12))
        return bytes(_UnboundedSourceRestrictionCoder().encode(restriction))

    return encoded


def _read_restriction(data: bytes) -> Any:
    restriction = _UnboundedSourceRestrictionCoder().decode(data)
    source, mark = restriction.source, restriction.checkpoint_mark.mark
    source.create_reader(None, restriction.checkpoint_mark)
    said = {"source": _plain(source), "mark": json.loads(mark.encode()), "watermark": restriction.watermark.micros}
    said["source"].pop("readings")
    return json.loads(json.dumps({**said, "sources": [one.source.version for one in source.readings]}))


def _plain(value: Any) -> Any:
    """All fields that today's class has; one that the bytes don't have raises AttributeError."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | float | bool | None) else str(type(value))


def _as_written(name: str) -> Callable[[], bytes]:
    """What only an earlier version makes, and this one reads."""
    return lambda: read_kept()[name][0]


KEPT: dict[str, Callable[[], bytes]] = {
    "state of a tile": _as_written("state of a tile"),
    "state of a tile and parts of its ids": _tile,
    "restriction of a lane": _restriction(_lane_source),
    "restriction of a follower": _restriction(_followed_source),
}
"""How each is made now."""
READ: dict[str, Callable[[bytes], Any]] = {
    "state of a tile": _read_tile_with_ids,
    "state of a tile and parts of its ids": _read_tile,
    "restriction of a lane": _read_restriction,
    "restriction of a follower": _read_restriction,
}
"""What each says when it is read now; raises where it can't be."""


def write_kept() -> None:
    """Write down what today's code makes, and what it says."""
    kept = {
        name: {"bytes": base64.b85encode(make()).decode(), "says": READ[name](make())} for name, make in KEPT.items()
    }
    FILE.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_kept() -> dict[str, tuple[bytes, Any]]:
    """(bytes, what they say) by name, as they were written down."""
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    return {name: (base64.b85decode(one["bytes"]), one["says"]) for name, one in kept.items()}


def digest_of(kept: dict[str, tuple[bytes, Any]]) -> str:
    """Eight hexadecimal digits of the bytes."""
    joined = b"".join(name.encode() + data for name, (data, _) in sorted(kept.items()))
    return hashlib.blake2b(joined, digest_size=4).hexdigest()


def read_all(kept: dict[str, tuple[bytes, Any]]) -> dict[str, str]:
    """What can't be read any more, or says something else: why, by name."""
    wrong = {}
    for name, (data, says) in kept.items():
        try:
            said = READ[name](data)
        except Exception as error:
            wrong[name] = f"{type(error).__name__}: {error}"
            continue
        if said != says:
            wrong[name] = f"says {said}, should say {says}"
    return wrong
