"""A process that answers statements for a server, one after the other, within so much memory: `python -m` this module.

DuckDB's own limit doesn't hold for what one value takes, such as `repeat('x', 1e10)`, and nothing within a process
holds for sure. So a statement that takes too much ends this process, and not the server. A request is a line of JSON on
standard input; a reply a line of JSON on standard output, and then the bytes that it says.
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
"""Bytes that a statement's rows may take beside what DuckDB may."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a worker is started with."""

    store: str
    journal: str
    dead_letters: str


@dataclass(frozen=True, slots=True)
class Request:
    """One statement, and what the caller may see."""

    sql: str
    form: str
    limit: int
    seconds: float
    memory: int
    names: tuple[str, ...]
    rows: dict[str, list[list[Any]]]
    """As `Rows.to_data` has them."""

    def line(self) -> bytes:
        """As it is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"


def main(arguments: list[str]) -> None:
    """Answer until standard input ends. `arguments`: those of a Place, and the bytes of memory for statements."""
    place = Place(*arguments[:3])
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints
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
    """No more for what is to come than DuckDB's share and ours."""
    with open("/proc/self/status", encoding="ascii") as status:
        used = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData"))
    most = used + memory + _BESIDE_DUCKDB
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


if __name__ == "__main__":
    main(sys.argv[1:])
