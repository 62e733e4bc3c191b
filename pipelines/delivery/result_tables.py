"""Results as rows of a table of BigQuery, by its Storage Write API; a view shows the newest revision of each.

Rows go to the table's default stream: at least once, and there for queries when it has answered. A row that comes twice
has the same `id`, and a revision that comes again isn't higher: the view that `tandem results table` makes shows each
window and key once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import grpc
import pyarrow as pa
from google.auth.exceptions import GoogleAuthError
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport
from google.cloud.bigquery_storage_v1.types import AppendRowsRequest, AppendRowsResponse

from tandem.pipelines.delivery.encoding import Encoder
from tandem.schemas.errors import DeliveryError
from tandem.schemas.result_messages.bigquery import table_arrow_schema, table_rows
from tandem.transforms.sinks.topics import packed
from tandem.views.outbox.messages import Message

__all__ = ["EMULATOR", "TableResults", "default_stream"]

EMULATOR: Final = "BIGQUERY_STORAGE_EMULATOR_HOST"
"""Variable of the environment: HOST:PORT of a server that takes rows without credentials."""

Row = tuple[Message, pa.RecordBatch]

_METHOD: Final = "/google.cloud.bigquery.storage.v1.BigQueryWrite/AppendRows"
_MOST_ROWS: Final = 1_000
_MOST_BYTES: Final = 8 << 20
"""Of rows in one request; the service takes 10 MB."""
_SECONDS: Final = 60.0


class TableResults:
    """Appends rows to one table, PROJECT.DATASET.TABLE."""

    def __init__(self, table: str, encoder: Encoder) -> None:
        self._table, self._stream, self._encoder = table, default_stream(table), encoder
        self._channel: grpc.Channel | None = None

    def send(self, messages: Sequence[Message]) -> Mapping[int, str]:
        """Append; returns the rows that BigQuery refuses, or that don't fit its types. Raises DeliveryError else."""
        good, refused = self._encoder.typed(messages)
        for name, group in groupby(good, lambda each: each[0].of):
            schema, rows = self._encoder.columns(name), list[Row]()
            for message, values in group:
                try:
                    rows.append((message, table_rows(schema, [values])))
                except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
                    refused[message.ordinal] = f"doesn't fit BigQuery's types: {str(error)[:200]}"
            for some in packed(rows, _size, _MOST_ROWS, _MOST_BYTES):
                refused |= self._append(some, table_arrow_schema(schema))
        return refused

    def _append(self, rows: Sequence[Row], schema: pa.Schema) -> dict[int, str]:
        """One request; where it names rows that are wrong it has taken none, and the others are sent again."""
        answer = self._answer(self._request(rows, schema))
        wrong = {rows[error.index][0].ordinal: f"{self._table}: {error.message}" for error in answer.row_errors}
        if not wrong:
            if answer.error.code:
                raise DeliveryError(f"table {self._table}: {answer.error.message or answer.error.code}")
            return {}
        left = [row for row in rows if row[0].ordinal not in wrong]
        return wrong | (self._append(left, schema) if left else {})

    def _request(self, rows: Sequence[Row], schema: pa.Schema) -> AppendRowsRequest:
        batch = pa.Table.from_batches([batch for _, batch in rows]).combine_chunks().to_batches()[0]
        data = AppendRowsRequest.ArrowData()
        data.writer_schema.serialized_schema = schema.serialize().to_pybytes()
        data.rows.serialized_record_batch = batch.serialize().to_pybytes()
        return AppendRowsRequest(write_stream=self._stream, arrow_rows=data, trace_id="tandem")

    def _answer(self, request: AppendRowsRequest) -> AppendRowsResponse:
        call = self._opened().stream_stream(
            _METHOD,
            request_serializer=AppendRowsRequest.pb().SerializeToString,
            response_deserializer=AppendRowsResponse.deserialize,
        )
        metadata = (("x-goog-request-params", f"write_stream={self._stream}"),)
        try:
            answers: Iterable[Any] = call(iter([AppendRowsRequest.pb(request)]), timeout=_SECONDS, metadata=metadata)
            answer: AppendRowsResponse = next(iter(answers))
        except StopIteration:
            raise DeliveryError(f"table {self._table}: no answer") from None
        except grpc.RpcError as error:
            raise DeliveryError(self._said(error)) from error
        return answer

    def _said(self, error: grpc.RpcError) -> str:
        missing = error.code() is grpc.StatusCode.NOT_FOUND
        remedy = "; `tandem results table DEFINITION RESULT --create` makes it" if missing else ""
        return f"table {self._table}: {error.code().name}: {error.details()}{remedy}"

    def _opened(self) -> grpc.Channel:
        if self._channel is None:
            self._channel = _channel()
        return self._channel


def default_stream(table: str) -> str:
    """The stream that each table has, for rows at least once."""
    project, dataset, name = table.split(".")
    return f"projects/{project}/datasets/{dataset}/tables/{name}/streams/_default"


def _channel() -> grpc.Channel:
    emulator = os.environ.get(EMULATOR)
    if emulator:
        return grpc.insecure_channel(emulator)
    try:
        return BigQueryWriteGrpcTransport.create_channel()
    except GoogleAuthError as error:
        raise DeliveryError(f"no credentials for BigQuery: {str(error).splitlines()[0]}") from None


def _size(row: Row) -> int:
    return int(row[1].nbytes) + 64 * int(row[1].num_columns)
