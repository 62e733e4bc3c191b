"""Writes results as rows of a BigQuery table, by the Storage Write API; a view selects each newest revision.

Rows go to the table's default stream: at least once, and visible to queries when it has answered. A repeated row has
the same `id` and revision, so the view that `tandem results table` makes shows each window and key once.
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
from tandem.schemas.result_messages.bigquery import table_rows
from tandem.transforms.sinks.topics import packed
from tandem.views.outbox.messages import Message

__all__ = ["EMULATOR", "TableResults", "default_stream"]

EMULATOR: Final = "BIGQUERY_STORAGE_EMULATOR_HOST"
"""Variable of the environment: HOST:PORT of a server that takes rows without credentials."""

_METHOD: Final = "/google.cloud.bigquery.storage.v1.BigQueryWrite/AppendRows"
_MOST_ROWS: Final = 1_000
_MOST_BYTES: Final = 8 << 20
"""Most bytes of rows in one request; the service takes 10 MB."""
_SECONDS: Final = 60.0


class TableResults:
    """Appends rows to one table, PROJECT.DATASET.TABLE."""

    def __init__(self, table: str, encoder: Encoder) -> None:
        self._table, self._stream, self._encoder = table, default_stream(table), encoder
        self._channel: grpc.Channel | None = None

    def send(self, messages: Sequence[Message]) -> Mapping[int, str]:
        """Append rows; returns those that BigQuery refuses, or that don't fit its types. Raises DeliveryError
        otherwise.
        """
        good, refused = self._encoder.typed(messages)
        for name, group in groupby(good, lambda each: each[0].of):
            schema = self._encoder.columns(name)
            fitting, batch = _as_rows(schema, list(group), refused)
            sizes = [_size(batch.slice(at, 1)) for at in range(len(fitting))]
            for some in packed(range(len(fitting)), sizes.__getitem__, _MOST_ROWS, _MOST_BYTES):
                here = slice(some[0], some[-1] + 1)
                refused |= self._append(fitting[here], batch.slice(some[0], len(some)))
        return refused

    def _append(self, messages: Sequence[Message], rows: pa.RecordBatch) -> dict[int, str]:
        """Send one request; where it names invalid rows it has stored none, and the others are sent again."""
        answer = self._answer(self._request(rows))
        wrong = {messages[error.index].ordinal: f"{self._table}: {error.message}" for error in answer.row_errors}
        if not wrong:
            if answer.error.code:
                raise DeliveryError(f"table {self._table}: {answer.error.message or answer.error.code}")
            return {}
        left = [at for at, message in enumerate(messages) if message.ordinal not in wrong]
        return wrong | (self._append([messages[at] for at in left], rows.take(pa.array(left))) if left else {})

    def _request(self, rows: pa.RecordBatch) -> AppendRowsRequest:
        data = AppendRowsRequest.ArrowData()
        data.writer_schema.serialized_schema = rows.schema.serialize().to_pybytes()
        data.rows.serialized_record_batch = rows.serialize().to_pybytes()
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
    """The default stream of a table, which appends rows at least once."""
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


def _as_rows(
    schema: pa.Schema, messages: Sequence[tuple[Message, dict[str, Any]]], refused: dict[int, str]
) -> tuple[list[Message], pa.RecordBatch]:
    """The messages that fit BigQuery's types, and one batch of all of them; adds the reasons why others don't to
    `refused`.

    Messages are converted one by one only if one doesn't fit.
    """
    try:
        return [message for message, _ in messages], table_rows(schema, [values for _, values in messages])
    except _UNFITTING as error:
        if len(messages) == 1:
            refused[messages[0][0].ordinal] = f"doesn't fit BigQuery's types: {str(error)[:200]}"
            return [], table_rows(schema, [])
        fitting = [each for each in messages if _as_rows(schema, [each], refused)[0]]
        if len(fitting) == len(messages):
            raise
    return _as_rows(schema, fitting, refused)


_UNFITTING: Final = (pa.ArrowException, OverflowError, TypeError, ValueError)


def _size(row: pa.RecordBatch) -> int:
    return int(row.nbytes) + 64 * int(row.num_columns)
