"""A database for one statement: in memory, without files, extensions, or settings to change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import duckdb

__all__ = ["sandbox"]

_SETTINGS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "temp_directory": "",
}


@contextmanager
def sandbox(memory: int, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that can read only the tables registered with it. `memory`: bytes for a statement."""
    settings = {**_SETTINGS, "memory_limit": f"{memory >> 20}MiB", "threads": str(threads)}
    connection = duckdb.connect(":memory:", config=settings)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()
