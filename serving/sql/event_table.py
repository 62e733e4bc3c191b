"""`events('clicks')`: the messages and records behind answers, decoded, filtered and keyed again; copies are marked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.formats.files.listing import file_at
from tandem.formats.files.reading import read_piece, split
from tandem.formats.messages import decode_messages
from tandem.journal.index import JournalIndex
from tandem.journal.reading import read_segment
from tandem.journal.storage.layout import lane_name
from tandem.journal.storage.opening import journal_exists, open_blobs
from tandem.schemas.columns import ID, KEY, TIME
from tandem.schemas.errors import SourceFileError
from tandem.schemas.hashing import hash64, hash_rows
from tandem.serving.questions.explanations.messages import fate_of
from tandem.serving.questions.selection.selecting import key_column
from tandem.serving.sql.relation import Reading, Relation
from tandem.views.answers.reading.scope import read_scope
from tandem.views.batch.chain_sources import ChainFile, chain_sources, stored_tiles

if TYPE_CHECKING:
    from tandem.journal.index import SegmentRef
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.schemas.messages import Decoded
    from tandem.serving.sql.bounds import Bounds
    from tandem.serving.sql.source import SqlSource, Visible

__all__ = ["event_table"]

_PIECE_BYTES = 16 << 20
_TIME = pa.timestamp("us", "UTC")
_OWN = (
    pa.field("event_time", _TIME),
    pa.field("event_id", pa.string()),
    pa.field("generation", pa.int64()),
    pa.field("position", pa.string()),
    pa.field("row", pa.int64()),
    pa.field("published", _TIME),
    pa.field("fate", pa.string()),
    pa.field("copy", pa.bool_()),
)
"""Columns of every event beside its fields: its position, the fate of its message, and whether it repeats an earlier
one."""


def event_table(source: SqlSource, name: str, reading: Reading) -> Relation:
    """One row for each event that the definition doesn't filter out: key, inputs of measures, and position.

    Files are read in their current state. Reading raises JournalError, SegmentError, SourceFileError.
    """
    events = _Events(source, source.compiled(name), source.visible(name))
    return Relation(events.schema, events.read, reading)


@dataclass
class _Events:
    source: SqlSource
    compiled: CompiledDefinition
    visible: Visible | None
    seen: set[tuple[int, int]] = field(default_factory=set)

    @property
    def fields(self) -> list[pa.Field]:
        """Columns of the key, then further inputs of measures."""
        fields = {field.name: field for field in self.compiled.key_fields}
        for each in self.compiled.input_schema:
            if not each.name.startswith("__"):
                fields.setdefault(each.name, each)
        return list(fields.values())

    @property
    def schema(self) -> pa.Schema:
        """The table's schema; a field of the source takes precedence over our own column of its name."""
        names = {each.name for each in self.fields}
        return pa.schema([*self.fields, *(each for each in _OWN if each.name not in names)])

    def read(self, bounds: Bounds, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All events whose tiles may lie within the bounds: first of files, then by generation, lane and number."""
        self.seen = set()
        tile = self.compiled.definition.tile
        low, high = bounds.lowest.get("event_time", -(2**62)), bounds.highest.get("event_time", 2**62)
        wanted = (low // tile * tile, high // tile * tile)
        store = self.source.store
        with store.database.read() as connection:
            scope = read_scope(connection, store.chains, self.compiled)
            tiles = list(stored_tiles(connection, scope.definition))
        without = {(position, number) for position, number, held in tiles if not _some_within(held, wanted)}
        with_some = {position for position, number, _ in tiles if (position, number) not in without}
        for file in sorted(chain_sources(store, scope).files, key=lambda file: (-file.generation, file.file.path)):
            if file.file.path in with_some:
                yield from self._of_file(file)
        for ref in self._segments():
            if (lane_name(ref.run, ref.lane), ref.number) not in without:
                yield from self._of_segment(ref, (scope.boundary, scope.live_run))

    def _segments(self) -> list[SegmentRef]:
        if not journal_exists(self.source.journal):
            return []
        index = JournalIndex(open_blobs(self.source.journal))
        index.refresh()
        refs = index.segments()
        return sorted(
            (ref for ref in refs if ref.count), key=lambda ref: (ref.generation, ref.run, ref.lane, ref.number)
        )

    def _of_segment(self, ref: SegmentRef, served: tuple[int, str | None]) -> Iterator[pa.RecordBatch]:
        segment = read_segment(open_blobs(self.source.journal), ref)
        decoded = decode_messages(self.compiled.definition.source, self.compiled.source_columns, segment.messages)
        published = segment.messages.column("publish_time").cast(_TIME)
        place = f"{lane_name(ref.run, ref.lane)}/{ref.number}"

        def fate(time: int) -> str:
            return fate_of(self.compiled, segment.header, time, served)

        yield from self._rows(decoded, place, ref.generation, published, fate)

    def _of_file(self, file: ChainFile) -> Iterator[pa.RecordBatch]:
        path, ref, definition = file.file.path, file_at(file.file.path), self.compiled.definition
        if ref.digest != file.file.digest:
            raise SourceFileError(f"{path} isn't any more what batch read: its digest is {ref.digest}")
        for piece in split(ref, _PIECE_BYTES, definition.source):
            for decoded in read_piece(definition.source, self.compiled.source_columns, piece, file.arrival_time):
                yield from self._rows(decoded, path, file.generation, None, lambda time: "batch", piece.first or 0)

    def _rows(
        self,
        decoded: Decoded,
        position: str,
        generation: int,
        published: pa.Array | None,
        fate: Any,
        first: int = 0,
    ) -> Iterator[pa.RecordBatch]:
        prepared = self.compiled.prepare(decoded.events)
        if not prepared.events.num_rows:
            return
        sources, events, rows = (
            decoded.events.take(pa.array(prepared.rows)),
            prepared.events,
            decoded.rows[prepared.rows],
        )
        times = events.column(TIME).to_numpy()
        own = {
            "event_time": pa.array(times).cast(_TIME),
            "event_id": events.column(ID).cast(pa.string()),
            "generation": pa.array(np.full(len(rows), generation, np.int64)),
            "position": pa.array([position] * len(rows)),
            "row": pa.array(rows + first),
            "published": published.take(pa.array(rows)) if published is not None else pa.nulls(len(rows), _TIME),
            "fate": pa.array([fate(time) for time in times.tolist()]),
            "copy": pa.array(self._copies(sources, events)),
        }
        keys = self._key_columns(events)
        columns = [
            keys[each.name] if each.name in keys else own[each.name] if each.name in own else events.column(each.name)
            for each in self.schema
        ]
        batch = pa.RecordBatch.from_arrays(columns, schema=self.schema)
        yield batch if self.visible is None else batch.filter(self._shown(events))

    def _key_columns(self, events: pa.RecordBatch) -> dict[str, pa.Array]:
        codes = events.column(KEY)
        known = [json.loads(key) for key in codes.dictionary.to_pylist()]
        return {
            each.name: key_column([key[at] for key in known], each.type).take(codes.indices)
            for at, each in enumerate(self.compiled.key_fields)
        }

    def _shown(self, events: pa.RecordBatch) -> pa.Array:
        codes, visible = events.column(KEY), self.visible
        assert visible is not None
        return pa.array([visible(key) for key in codes.dictionary.to_pylist()], pa.bool_()).take(codes.indices)

    def _copies(self, sources: pa.RecordBatch, events: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Whether each event has the id and content of an earlier one; False everywhere where copies count."""
        if not self.compiled.definition.deduplicate:
            return np.zeros(events.num_rows, bool)
        content = hash_rows([sources.column(name) for name in self.compiled.source_columns])
        found = np.zeros(events.num_rows, bool)
        for at, identity in enumerate(zip(hash64(events.column(ID)).tolist(), content.tolist(), strict=True)):
            found[at] = identity in self.seen
            self.seen.add(identity)
        return found


def _some_within(tiles: Sequence[int], wanted: tuple[int, int]) -> bool:
    return any(wanted[0] <= tile <= wanted[1] for tile in tiles)
