"""Connections to PostgreSQL: asked for a sign of life where they lay idle, only looked at where they were just used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from servers.postgres_server import PostgresServer, postgres_or_skip

from tandem.views.locking.sessions import server_engine
from tandem.views.storage.address import parse_address


@dataclass
class Clock:
    """Stands still until it is moved."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_or_skip() as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(server: PostgresServer, clock: Clock) -> Iterator[sa.Engine]:
    made = server_engine(parse_address(server.url), clock)
    yield made
    made.dispose()


def session(engine: sa.Engine) -> int:
    """The server's number of the session that a read gets."""
    with engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


@pytest.mark.parametrize(
    ("idle", "asked"),
    [
        pytest.param(0.0, 0, id="at once"),
        pytest.param(0.9, 0, id="soon"),
        pytest.param(1.1, 1, id="later"),
        pytest.param(3600.0, 1, id="after an hour"),
    ],
)
def test_a_connection_is_asked_only_where_it_lay_idle(
    engine: sa.Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch, idle: float, asked: int
) -> None:
    before, pings = session(engine), list[object]()
    ping = engine.dialect.do_ping
    monkeypatch.setattr(engine.dialect, "do_ping", lambda given: pings.append(given) or ping(given))
    clock.now += idle
    assert session(engine) == before
    assert len(pings) == asked


@pytest.mark.parametrize("idle", [pytest.param(0.0, id="just used"), pytest.param(60.0, id="idle")])
def test_a_session_that_was_ended_is_replaced(
    server: PostgresServer, engine: sa.Engine, clock: Clock, idle: float
) -> None:
    before, other = session(engine), sa.create_engine(parse_address(server.url))
    with other.connect() as connection:
        connection.execute(sa.text("SELECT pg_terminate_backend(:session, 5000)"), {"session": before})
    other.dispose()
    clock.now += idle
    assert session(engine) != before


@pytest.mark.parametrize("idle", [pytest.param(0.0, id="just used"), pytest.param(60.0, id="idle")])
def test_a_server_that_crashed_is_asked_again_by_new_connections(
    server: PostgresServer, engine: sa.Engine, clock: Clock, idle: float
) -> None:
    with engine.connect(), engine.connect():
        pass  # two lie in the pool
    server.crash()
    server.start()
    clock.now += idle
    with engine.connect() as one, engine.connect() as two:
        found = {one.exec_driver_sql("SELECT 1").scalar_one(), two.exec_driver_sql("SELECT 1").scalar_one()}
    assert found == {1}


def test_a_connection_that_this_process_closed_is_replaced(engine: sa.Engine) -> None:
    before = session(engine)
    with engine.connect() as connection:
        driver = connection.connection.dbapi_connection
    assert driver is not None
    driver.close()
    assert session(engine) != before
