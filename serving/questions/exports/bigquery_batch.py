"""Loads batch's answers into a BigQuery table, tile by tile: load jobs replace the days that have changed.

The table is partitioned by the day of `start`. Its labels name the batch run that it holds; later runs record the tiles
that they wrote. A table of another store, version or branch is replaced as a whole, in one job.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.errors import LaunchError, UserError
from tandem.schemas.result_messages.bigquery import table_fields
from tandem.schemas.time.durations import DAY
from tandem.serving.questions.exports.bigquery_loads import loading, table_schema, write_loaded
from tandem.serving.questions.exports.rows import Export, exported
from tandem.serving.questions.selection.selecting import asked_results
from tandem.storage.bigquery import client_of
from tandem.views.answers.reading.extents import tile_days
from tandem.views.answers.reading.scope import Scope, batch_alone, read_scope
from tandem.views.layers.rollups.changes import changed_hours
from tandem.views.storage.tables import store_version

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.views.answers.all_steps import AnswerRow
    from tandem.views.store import ViewStore

__all__ = ["Delivered", "deliver_batch"]

_MOST_JOBS: Final = 100
"""Most days that are loaded one by one; beyond, the whole table is. A table takes 1,500 load jobs a day."""
_MOST_DAYS: Final = 4_000
"""Partitions that one load job may write."""
_RUN: Final = "tandem_batch_run"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ADDED: Final = (
    pa.field("complete", pa.bool_(), nullable=False),
    pa.field("publication", pa.int64(), nullable=False),
    pa.field("batch_run", pa.string(), nullable=False),
    pa.field("boundary", pa.int64(), nullable=False),
)
"""Columns of a certificate, after those of an export."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The result of a load."""

    batch_run: str
    publication: int
    rows: int
    jobs: int
    days: int | None
    """Number of replaced days; None: the whole table."""


def deliver_batch(store: ViewStore, compiled: CompiledDefinition, table: str) -> Delivered:
    """Update a table, PROJECT.DATASET.TABLE, to the served batch run. An interrupted update is completed by the next
    one.

    Raises UserError where no batch run is served, and for values that BigQuery's types can't hold; LaunchError without
    credentials and for BigQuery's refusals.
    """
    from google.api_core.exceptions import GoogleAPIError

    try:
        with store.at_one_instant() as pinned, pinned.database.read() as connection:
            scope = batch_alone(read_scope(connection, pinned.chains, compiled))
            if scope.batch_run is None:
                raise UserError(f"{compiled.definition.name}: no batch run is served yet; `tandem backfill` makes one")
            return _delivered(pinned, connection, _Table(client_of(table.split(".")[0]), table), compiled, scope)
    except GoogleAPIError as error:
        raise LaunchError(f"BigQuery: {table}: {str(error)[:300]}") from error


@dataclass(frozen=True, slots=True)
class _Table:
    client: Client
    name: str

    def held(self) -> Mapping[str, str]:
        """The labels that identify its contents; none for a missing table."""
        from google.api_core.exceptions import NotFound

        try:
            labels: Mapping[str, str] = self.client.get_table(self.name).labels
        except NotFound:
            return {}
        return labels

    def label(self, labels: Mapping[str, str]) -> None:
        """Label its new contents."""
        found = self.client.get_table(self.name)
        found.labels = {**found.labels, **labels}
        self.client.update_table(found, ["labels"])


def _delivered(
    store: ViewStore, connection: sa.Connection, table: _Table, compiled: CompiledDefinition, scope: Scope
) -> Delivered:
    names = asked_results(compiled, None)
    export = Export(compiled, compiled.definition.tile, None, None, names, None, "UTC", batch=True)
    labels, days = _labels(connection, scope, export), None
    if (prefix := _prefix(table.held(), labels, scope)) is not None:
        hours = changed_hours(connection, scope.chain, prefix)
        days = sorted(set((hours // DAY * DAY).tolist()))
    if days is None or len(days) > _MOST_JOBS:
        days = None
        spans: list[tuple[str, tuple[int, int] | None]] = [(table.name, None)]
        _check_days(tile_days(connection, scope))
    else:
        spans = [(f"{table.name}${_day(day)}", (day, day + DAY)) for day in days]
    rows = sum(_loaded(store, table.client, place, replace(export, span=span), scope) for place, span in spans)
    table.label(labels)
    return Delivered(str(scope.batch_run), scope.publication, rows, len(spans), None if days is None else len(days))


def _labels(connection: sa.Connection, scope: Scope, export: Export) -> dict[str, str]:
    """The labels of contents: store, version, columns and batch run."""
    columns = json.dumps(table_fields(table_schema(export, _ADDED))).encode()
    store = connection.execute(sa.select(store_version.c.id, store_version.c.created_at)).one()
    return {
        "tandem_store": f"{store.id}-{store.created_at}",
        "tandem_version": scope.version.lower()[:63],
        "tandem_columns": f"{crc32(columns):08x}",
        _RUN: str(scope.batch_ordinal),
    }


def _prefix(held: Mapping[str, str], labels: Mapping[str, str], scope: Scope) -> int | None:
    """The batch run that a table holds, if the served one is its descendant."""
    same = all(held.get(name) == labels[name] for name in labels if name != _RUN)
    text = held.get(_RUN, "")
    return int(text) if same and text.isdecimal() and int(text) in scope.chain else None


def _check_days(days: Sequence[int]) -> None:
    if len(days) > _MOST_DAYS:
        raise UserError(f"events of {len(days):,} days; BigQuery divides a table into {_MOST_DAYS:,} with one load job")


def _day(start: int) -> str:
    return f"{_EPOCH + timedelta(microseconds=start):%Y%m%d}"


def _loaded(store: ViewStore, client: Client, place: str, export: Export, scope: Scope) -> int:
    """Replace a day's rows, or all; returns the number of rows afterwards."""
    from google.cloud.bigquery import TimePartitioning

    schema = table_schema(export, _ADDED)
    config = loading(table_fields(schema))
    config.time_partitioning = TimePartitioning(field="start")
    with tempfile.TemporaryFile() as file:
        rows = write_loaded(file, export, exported(store, export), schema, _certified(scope))
        file.seek(0)
        client.load_table_from_file(file, place, job_config=config, rewind=True).result()
    return rows


def _certified(scope: Scope) -> Callable[[AnswerRow], dict[str, Any]]:
    """The columns of a row's certificate: whether its sources were complete, and the publication."""
    until = scope.complete_to if scope.complete_to is not None and not scope.missing else None

    def columns(row: AnswerRow) -> dict[str, Any]:
        complete = until is not None and row.end <= until
        values = (complete, scope.publication, scope.batch_run, scope.boundary)
        return dict(zip((field.name for field in _ADDED), values, strict=True))

    return columns
