"""A stand-in for BigQuery's two services, for shapes: it holds tables, takes load jobs, and appended rows in Arrow.

What it holds against each other: the schema of rows and of the table (names, types, what is required), as the service's
documentation says. It knows nothing of SQL, of quotas, or of how the service really rounds and refuses.
"""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import grpc
import pyarrow as pa
from google.cloud.bigquery_storage_v1.types import AppendRowsRequest, AppendRowsResponse, RowError, StorageError
from pyarrow import parquet

__all__ = ["BigQueryService", "bigquery_service"]

_TABLE: Final = re.compile(r"/bigquery/v2/projects/([^/]+)/datasets/([^/]+)/tables(?:/([^/?]+))?")
_ARROW: Final = {
    "BOOLEAN": pa.types.is_boolean,
    "INTEGER": pa.types.is_int64,
    "FLOAT": pa.types.is_float64,
    "NUMERIC": lambda kind: kind == pa.decimal128(38, 9),
    "BIGNUMERIC": lambda kind: kind == pa.decimal256(76, 38),
    "TIMESTAMP": lambda kind: kind == pa.timestamp("us", "UTC"),
    "DATETIME": lambda kind: kind == pa.timestamp("us"),
    "DATE": pa.types.is_date32,
    "TIME": lambda kind: kind == pa.time64("us"),
    "BYTES": pa.types.is_binary,
    "STRING": pa.types.is_string,
    "RECORD": pa.types.is_struct,
}


@dataclass
class BigQueryService:
    """What it was given."""

    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By PROJECT.DATASET.TABLE, views too: the resource."""
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    datasets: set[str] = field(default_factory=lambda: {"my-project.shop"})
    refuses: str = ""
    """Rows whose key has this text are refused."""
    loads_left: int | None = None
    """Load jobs after so many fail; None: none does."""
    unavailable: int = 0
    """So many appends fail before one is taken."""
    rest: str = ""
    write: str = ""

    def append(self, request: AppendRowsRequest) -> AppendRowsResponse:
        """Take the rows of one request, all or none."""
        parts = request.write_stream.split("/")
        table = ".".join((parts[1], parts[3], parts[5]))
        schema = pa.ipc.read_schema(pa.py_buffer(request.arrow_rows.writer_schema.serialized_schema))
        batch = pa.ipc.read_record_batch(pa.py_buffer(request.arrow_rows.rows.serialized_record_batch), schema)
        differing = differences(self.tables[table]["schema"]["fields"], schema)
        if differing:
            return AppendRowsResponse(error={"code": 3, "message": f"schema mismatch: {differing}"})
        rows = batch.to_pylist()
        wrong = [at for at, row in enumerate(rows) if self.refuses and self.refuses in json.dumps(row["key"])]
        if wrong:
            errors = [RowError(index=at, code=RowError.RowErrorCode.FIELDS_ERROR, message="refused") for at in wrong]
            return AppendRowsResponse(error={"code": 3, "message": "see row_errors"}, row_errors=errors)
        self.rows.setdefault(table, []).extend(rows)
        return AppendRowsResponse(append_result={})

    def newest(self, table: str) -> dict[tuple[str, Any], dict[str, Any]]:
        """What the view shows: by key and start the row of the highest revision, unless it is withdrawn."""
        found: dict[tuple[str, Any], dict[str, Any]] = {}
        for row in sorted(self.rows.get(table, []), key=lambda row: row["revision"]):
            found[json.dumps(row["key"]), row["start"]] = row
        return {place: row for place, row in found.items() if not row["withdrawn"]}


def differences(fields: list[dict[str, Any]], schema: Any) -> list[str]:
    """Where an Arrow schema doesn't fit a table's."""
    by_name, found = {each["name"]: each for each in fields}, list[str]()
    for one in schema:
        there = by_name.pop(one.name, None)
        if there is None:
            found.append(f"{one.name}: no such column")
            continue
        kind = one.type
        if (there.get("mode") == "REPEATED") != pa.types.is_list(kind):
            found.append(f"{one.name}: repeated")
        kind = kind.value_type if pa.types.is_list(kind) else kind
        if not _ARROW[there["type"]](kind):
            found.append(f"{one.name}: {kind} is no {there['type']}")
        if there["type"] == "RECORD" and pa.types.is_struct(kind):
            found += [f"{one.name}.{more}" for more in differences(there["fields"], list(kind))]
    return found + [f"{name}: missing" for name, each in by_name.items() if each.get("mode") == "REQUIRED"]


def _handler(service: BigQueryService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None: ...

        def _answer(self, status: int, data: Any, **headers: str) -> None:
            body = json.dumps(data).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def _error(self, status: int, message: str) -> None:
            self._answer(status, {"error": {"code": status, "message": message, "errors": [{"reason": "x"}]}})

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _table(self) -> tuple[str, str]:
            matched = _TABLE.match(self.path)
            assert matched, self.path
            project, dataset, name = matched.groups()
            return f"{project}.{dataset}", f"{project}.{dataset}.{name}"

        def do_GET(self) -> None:
            if "/jobs/" in self.path:
                self._answer(200, service.jobs[self.path.split("/jobs/")[1].partition("?")[0]])
                return
            _, table = self._table()
            found = service.tables.get(table)
            self._answer(200, found) if found else self._error(404, f"Not found: Table {table}")

        def do_PATCH(self) -> None:
            _, table = self._table()
            service.tables[table] |= json.loads(self._body())
            self._answer(200, service.tables[table])

        def do_POST(self) -> None:
            if self.path.startswith("/upload/"):
                job = json.loads(self._body())
                service.jobs[job["jobReference"]["jobId"]] = job
                self._answer(200, {}, Location=f"{service.rest}/resumable/{job['jobReference']['jobId']}")
                return
            dataset, _ = self._table()
            wanted = json.loads(self._body())
            table = f"{dataset}.{wanted['tableReference']['tableId']}"
            if dataset not in service.datasets:
                self._error(404, f"Not found: Dataset {dataset}")
            elif table in service.tables:
                self._error(409, f"Already Exists: Table {table}")
            else:
                service.tables[table] = wanted
                self._answer(200, wanted)

        def do_PUT(self) -> None:
            job = service.jobs[self.path.rpartition("/")[2]]
            load = job["configuration"]["load"]
            table = ".".join(load["destinationTable"][part] for part in ("projectId", "datasetId", "tableId"))
            loaded = parquet.read_table(io.BytesIO(self._body()))
            table, _, day = table.partition("$")
            differing = differences(load["schema"]["fields"], loaded.schema)
            if day and load["timePartitioning"] != service.tables[table]["timePartitioning"]:
                differing.append("partitioned otherwise")
            rows = loaded.to_pylist()
            by_day = load.get("timePartitioning", {}).get("field", "")
            outside = [row for row in rows if day and f"{row[by_day]:%Y%m%d}" != day]
            if outside:
                differing.append(f"{len(outside)} rows of other days than {day}")
            job["status"] = {"state": "DONE"}
            if service.loads_left is not None:
                service.loads_left -= 1
                if service.loads_left < 0:
                    differing.append("no more loads")
            if differing:
                job["status"]["errorResult"] = {"reason": "invalid", "message": f"schema mismatch: {differing}"}
            else:
                assert load["writeDisposition"] == "WRITE_TRUNCATE"
                kept = service.rows.get(table, []) if day else []
                service.rows[table] = [row for row in kept if f"{row[by_day]:%Y%m%d}" != day] + rows
                known = service.tables.get(table, {})
                service.tables[table] = {
                    **known, "tableReference": known.get("tableReference", load["destinationTable"]),
                    "schema": load["schema"], "timePartitioning": load.get("timePartitioning"),
                }  # fmt: skip
            self._answer(200, job)

    return Handler


@contextmanager
def bigquery_service() -> Iterator[BigQueryService]:
    """Both services on ports of their own."""
    service = BigQueryService()
    rest = ThreadingHTTPServer(("127.0.0.1", 0), _handler(service))
    service.rest = f"http://127.0.0.1:{rest.server_address[1]}"
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    server = grpc.server(futures.ThreadPoolExecutor(4))

    def append_rows(requests: Iterator[AppendRowsRequest], context: grpc.ServicerContext) -> Iterator[Any]:
        for request in requests:
            if service.unavailable:
                service.unavailable -= 1
                context.abort(grpc.StatusCode.UNAVAILABLE, "try again")
            parts = request.write_stream.split("/")
            if ".".join((parts[1], parts[3], parts[5])) not in service.tables:
                context.abort(grpc.StatusCode.NOT_FOUND, f"Requested entity was not found: {StorageError.__name__}")
            yield service.append(request)

    handler = grpc.stream_stream_rpc_method_handler(
        append_rows,
        request_deserializer=AppendRowsRequest.deserialize,
        response_serializer=AppendRowsResponse.serialize,
    )
    name = "google.cloud.bigquery.storage.v1.BigQueryWrite"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"AppendRows": handler}),))
    service.write = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield service
    finally:
        server.stop(None).wait()
        rest.shutdown()
        rest.server_close()
