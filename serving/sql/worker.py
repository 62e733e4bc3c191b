"""A process that runs statements for a server, one after the other, within a limit of memory: `python -m` this module.

DuckDB's own limit doesn't cover the size of one value, such as `repeat('x', 1e10)`, and no limit within a process is
safe. So a statement that exceeds the limit ends this process, and not the server. A request is a line of JSON on
standard input; a reply is a line of JSON on standard output, and then as many bytes as it announces.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
from dataclasses import asdict, dataclass
from typing import IO, Any, Final

from tandem.schemas.errors import TandemError
from tandem.schemas.privacy.printable import json_text
from tandem.serving.security.row_filters import Rows
from tandem.serving.sql.asking import SqlLimits, SqlRows, ask_sql
from tandem.serving.sql.forms import cell_values, write_table
from tandem.serving.sql.source import SqlSource
from tandem.views.store import ViewStore

__all__ = ["Place", "Request", "main"]

_BESIDE_DUCKDB: Final = 256 << 20
"""Bytes for a statement's rows beside DuckDB's own limit."""


@dataclass(frozen=True, slots=True)
class Place:
    """The places that a worker is started with."""

    store: str
    journal: str
    dead_letters: str


@dataclass(frozen=True, slots=True)
class Request:
    """One statement, and the caller's permissions."""

    sql: str
    form: str
    limit: int
    seconds: float
    memory: int
    names: tuple[str, ...]
    rows: dict[str, list[list[Any]]]
    """In the form of `Rows.to_data`."""

    def line(self) -> bytes:
        """The request in the form in which it is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"


def main(arguments: list[str]) -> None:
    """Answer requests until standard input ends. `arguments`: those of a Place, and the bytes for statements."""
    place = Place(*arguments[:3])
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # redirects other prints
    store = ViewStore(place.store, create=False)
    _limit_memory(int(arguments[3]))
    for line in sys.stdin.buffer:
        header, body = _answered(store, place, Request(**json.loads(line)))
        replies.write(json.dumps(header | {"bytes": len(body)}).encode() + b"\n" + body)
        replies.flush()


def _answered(store: ViewStore, place: Place, request: Request) -> tuple[dict[str, Any], bytes]:
    visible = Rows.from_data(request.rows).visible
    source = SqlSource(store, place.journal, place.dead_letters, request.names, visible)
    limits = SqlLimits(request.limit, request.seconds, request.memory, threads=1)
    try:
        found = ask_sql(source, request.sql, limits)
        return {"error": None, "whole": found.whole}, _body(found, request.form)
    except TandemError as error:
        return {"error": type(error).__name__}, str(error).encode()


def _body(found: SqlRows, form: str) -> bytes:
    if form == "json":
        columns = [{"name": field.name, "type": str(field.type)} for field in found.table.schema]
        data = {"columns": columns, "rows": list(cell_values(found.table)), "whole": found.whole}
        return json_text(data).encode()
    file: IO[bytes] = io.BytesIO()
    write_table(file, found.table, form)
    file.seek(0)
    return file.read()


def _limit_memory(memory: int) -> None:
    """Limit further memory to DuckDB's share and the rows'."""
    with open("/proc/self/status", encoding="ascii") as status:
        used = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData"))
    most = used + memory + _BESIDE_DUCKDB
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


if __name__ == "__main__":
    main(sys.argv[1:])
