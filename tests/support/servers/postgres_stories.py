"""Stories of results on PostgreSQL: each has a database of its own on one server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from without_runner.result_stories import STORES

from servers.postgres_server import postgres_server

__all__ = ["stories_on_postgres"]


@contextmanager
def stories_on_postgres() -> Iterator[None]:
    """Every story that begins meanwhile is in a fresh database. Raises LookupError where there is no server."""
    import psycopg

    numbers = count(1)
    with postgres_server("", "fsync=off", "max_connections=200") as server:

        def fresh(path: str) -> str:
            name = f"story{next(numbers)}"
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            return server.url.replace("/postgres?", f"/{name}?")

        STORES.append(fresh)
        try:
            yield
        finally:
            STORES.pop()
