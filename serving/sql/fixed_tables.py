"""Tables of an installation as a whole, over every definition that the caller may see completely."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from tandem.schemas.privacy.printable import json_text
from tandem.serving.installation.dead_letters import Filters, find, target_of
from tandem.serving.outcomes.alert_data import alert_status
from tandem.serving.sql.relation import Reading, Relation
from tandem.views.answers.all_steps import FOR_EVER
from tandem.views.answers.reading.rows import late_by_tile
from tandem.views.answers.reading.scope import read_scope
from tandem.views.decisions.listing import alerts
from tandem.views.reconcile.receipts import drift_points
from tandem.views.report import status_report
from tandem.views.results.listing import revisions

if TYPE_CHECKING:
    from tandem.serving.sql.bounds import Bounds
    from tandem.serving.sql.source import SqlSource

__all__ = ["FIXED_TABLES", "fixed_table"]

_TEXT, _NUMBER, _TIME = pa.string(), pa.int64(), pa.timestamp("us", "UTC")
_AT_ONCE: Final = 10_000

Row = tuple[Any, ...]
Rows = Callable[["SqlSource", str, "Bounds"], Iterator[Row]]


@dataclass(frozen=True)
class FixedTable:
    """One such table: its columns after `definition`, and the rows of one definition."""

    columns: dict[str, pa.DataType]
    rows: Rows
    of_keys: bool = False
    """Whether rows are about keys, in the last of these columns: then a caller with a row filter gets the rows of
    visible keys."""

    @property
    def schema(self) -> pa.Schema:
        """The schema of all its columns."""
        return pa.schema([("definition", _TEXT), *self.columns.items()])


def fixed_table(source: SqlSource, name: str, reading: Reading) -> Relation:
    """One of FIXED_TABLES."""
    table = FIXED_TABLES[name]
    return Relation(table.schema, partial(_batches, source, table), reading)


def _batches(source: SqlSource, table: FixedTable, bounds: Bounds, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    names = source.names if table.of_keys else source.unrestricted
    held: list[Row] = []
    for name in names:
        if bounds.equal.get("definition", name) != name:
            continue
        for row in table.rows(source, name, bounds):
            held.append((name, *row))
            if len(held) == _AT_ONCE:
                yield _batch(table.schema, held)
                held = []
    if held:
        yield _batch(table.schema, held)


def _batch(schema: pa.Schema, rows: list[Row]) -> pa.RecordBatch:
    columns = [_column(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(values, _NUMBER).cast(_TIME) if kind == _TIME else pa.array(values, kind)


def _late(source: SqlSource, name: str, bounds: Bounds) -> Iterator[Row]:
    start, end = bounds.lowest.get("tile", -FOR_EVER), bounds.highest.get("tile", FOR_EVER - 1) + 1
    with source.store.database.read() as connection:
        scope = read_scope(connection, source.store.chains, source.compiled(name))
        yield from sorted(late_by_tile(connection, scope, start, end).items())


def _dead_letters(source: SqlSource, name: str, bounds: Bounds) -> Iterator[Row]:
    found = find(source.store, target_of(name, source.store), Filters(), source.dead_letters)
    for letter in found:
        stored = letter.stored
        payload = stored.letter.payload if stored is not None else None
        published = (stored.letter.publish_time or None) if stored is not None else None
        yield (
            letter.id, letter.status, letter.stage, letter.reason, letter.state.tries, letter.state.generation,
            published, stored.written_at if stored is not None else None, payload,
        )  # fmt: skip


def _alerts(source: SqlSource, name: str, bounds: Bounds) -> Iterator[Row]:
    span = bounds.lowest.get("since", -FOR_EVER), bounds.highest.get("since", FOR_EVER - 1) + 1
    rule, key, visible = bounds.equal.get("rule"), bounds.equal.get("key"), source.visible(name)
    with source.store.database.read() as connection:
        rows = alerts(connection, name, rule=rule, key=key, span=span, visible=visible, most=FOR_EVER)
    for row in rows:
        yield (
            row.id, row.rule, row.version, row.key, row.state, alert_status(row), row.since, row.fired, row.until,
            row.resolved, row.revision, bool(row.told), row.into or None, row.created_at, row.changed_at,
            row.acknowledged_by or None, row.acknowledged_at or None, row.note or None,
        )  # fmt: skip


def _results(source: SqlSource, name: str, bounds: Bounds) -> Iterator[Row]:
    visible = source.visible(name)
    span = bounds.lowest.get("start", -FOR_EVER), bounds.highest.get("start", FOR_EVER - 1) + 1
    with source.store.database.read() as connection:
        asked = bounds.equal.get("result"), bounds.equal.get("key")
        found = revisions(connection, name, *asked, span, most=FOR_EVER, visible=visible)
    for row in found:
        answer = json_text(row.results) if row.results is not None else None
        yield row.result, row.start, row.end, row.key, row.revision, row.timing, row.events, answer, row.id


def _generations(source: SqlSource, name: str, bounds: Bounds) -> Iterator[Row]:
    report = status_report(source.store, name)
    served = report["served"]
    for run in report["live_runs"]:
        of_served = served is not None and run["run"] == served["live_run"] and run["version"] == served["version"]
        for generation, counts in run["generations"].items():
            boundary = served["boundary"] if served is not None else 0
            served_by = ("batch" if generation <= boundary else "live") if of_served else None
            numbers = (counts[each] for each in _COUNTS)
            yield run["run"], generation, served_by, *numbers, run["residues"].get(generation, 0)


_COUNTS: Final = ("received", "counted", "filtered", "duplicates", "late", "dead", "conflicts")


def _publications(source: SqlSource, name: str, bounds: Bounds) -> Iterator[Row]:
    for each in source.store.publishing.publications(name):
        yield (
            each.ordinal, each.published_at, each.kind.value, each.version, each.boundary, each.batch_run,
            each.live_run, each.note,
        )  # fmt: skip


def _drift(source: SqlSource, name: str, bounds: Bounds) -> Iterator[Row]:
    for point in drift_points(source.store, name):
        causes = point.causes
        yield (
            point.tile, point.generation, point.live_run, point.live, point.batch, point.absolute, causes.late,
            causes.cross_duplicates, causes.missing, causes.extra, causes.logic, point.at, point.agreed_at,
        )  # fmt: skip


FIXED_TABLES: Final = {
    "late": FixedTable({"tile": _TIME, "events": _NUMBER}, _late),
    "dead_letters": FixedTable(
        {
            "letter": _TEXT, "status": _TEXT, "stage": _TEXT, "reason": _TEXT, "tries": _NUMBER, "generation": _NUMBER,
            "published": _TIME, "written": _TIME, "payload": pa.binary(),
        },
        _dead_letters,
    ),
    "alerts": FixedTable(
        {
            "alert": _TEXT, "rule": _TEXT, "rule_version": _TEXT, "key": _TEXT, "state": _TEXT, "status": _TEXT,
            "since": _TIME, "fired": _TIME, "until": _TIME, "resolved": _TIME, "revision": _NUMBER, "sent": pa.bool_(),
            "merged_into": _TEXT, "created": _TIME, "changed": _TIME, "acknowledged_by": _TEXT, "acknowledged": _TIME,
            "note": _TEXT,
        },
        _alerts,
        of_keys=True,
    ),
    "results": FixedTable(
        {
            "result": _TEXT, "start": _TIME, "end": _TIME, "key": _TEXT, "revision": _NUMBER, "timing": _TEXT,
            "events": _NUMBER, "results": _TEXT, "id": _TEXT,
        },
        _results,
        of_keys=True,
    ),
    "generations": FixedTable(
        {"live_run": _TEXT, "generation": _NUMBER, "served_by": _TEXT, **dict.fromkeys(_COUNTS, _NUMBER),
         "residue": _NUMBER},
        _generations,
    ),
    "publications": FixedTable(
        {
            "publication": _NUMBER, "published": _TIME, "kind": _TEXT, "version": _TEXT, "boundary": _NUMBER,
            "batch_run": _TEXT, "live_run": _TEXT, "note": _TEXT,
        },
        _publications,
    ),
    "drift": FixedTable(
        {
            "tile": _TIME, "generation": _NUMBER, "live_run": _TEXT, "live": _NUMBER, "batch": _NUMBER,
            "difference": _NUMBER, "late": _NUMBER, "straddlers": _NUMBER, "missing": _NUMBER, "extra": _NUMBER,
            "logic": _NUMBER, "reconciled": _TIME, "agreed": _TIME,
        },
        _drift,
    ),
}  # fmt: skip
"""`late`: late events that batch hasn't read yet, by tile. `dead_letters`: with their payloads. `alerts`: in their
current state; `key` is JSON. `results`: last revisions; `key` and `results` are JSON. `generations`: live runs' counts.
`publications`: the served runs over time. `drift`: live against batch, by tile and generation."""
