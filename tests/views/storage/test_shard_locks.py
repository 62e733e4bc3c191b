"""On PostgreSQL writers of different shards of a run don't wait for each other; who publishes waits for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from tandem.schemas.errors import StoreError
from tandem.views.live.run_locks import lock_shards, segment_shard
from tandem.views.live.writing import lock_live_run
from tandem.views.store import ViewStore


@contextmanager
def writing(store: ViewStore, shard: int) -> Iterator[None]:
    """A writer of one shard that has not come to its end."""
    with store.database.write() as connection:
        row = lock_live_run(connection, "v1", "L1")
        lock_shards(store.database, connection, row.id, [shard], 1)
        yield


@pytest.fixture
def other(postgres: Any, url: str) -> Iterator[Any]:
    """Another process's store, which doesn't wait for locks; the run has begun."""
    postgres.store.live.start("v1", "L1", journal="j")
    store = ViewStore(url)

    def hurry(connection: Any, _: Any) -> None:
        connection.execute("SET lock_timeout = '300ms'")
        connection.commit()

    sa.event.listen(store.database.engine, "connect", hurry)
    store.database.engine.dispose()
    yield store
    store.close()


def test_other_shards_and_lanes_are_written_meanwhile(postgres: Any, other: ViewStore) -> None:
    with writing(postgres.store, 0):
        other.live.write(postgres.compiled, "L1", [postgres.Update(0, 64, postgres.block((1, "a", 1, 10)))])
        other.live.write_segments("v1", "L1", [postgres.Segment("L1/0000", 1, 1, 1, 1)])
        other.live.set_watermark("v1", "L1", 7, "L1/0000")
    assert postgres.store.live.get("v1", "L1").watermark == 7


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(
            lambda b, s: s.live.write(b.compiled, "L1", [b.Update(0, 64, b.block((1, "a", 1, 9)))]), id="shard"
        ),
        pytest.param(lambda b, s: s.live.mark_behind("v1", "L1", 0, 64), id="mark"),
        pytest.param(lambda b, s: s.publishing.serve_live("orders", "v1", "L1"), id="publisher"),
        pytest.param(lambda b, s: s.live.end_attempts("v1", "L1"), id="end of the run"),
        pytest.param(lambda b, s: s.publishing.drop("v1"), id="drop"),
    ],
)
def test_the_same_shard_and_who_wants_the_run_alone_wait(postgres: Any, other: ViewStore, write: Any) -> None:
    with writing(postgres.store, 64), pytest.raises(StoreError, match="lock timeout"):
        write(postgres, other)
    write(postgres, other)


def test_lanes_wait_for_their_own_writer(postgres: Any, other: ViewStore) -> None:
    with writing(postgres.store, segment_shard("L1/0000")), pytest.raises(StoreError, match="lock timeout"):
        other.live.write_segments("v1", "L1", [postgres.Segment("L1/0000", 1, 1, 1, 1)])


def test_a_publisher_is_not_passed_by_writers_for_ever(postgres: Any, other: ViewStore, url: str) -> None:
    """A writer that asks after it waits until it is done."""
    with ThreadPoolExecutor(1) as pool:
        with writing(postgres.store, 0):
            patient = ViewStore(url)
            publishing = pool.submit(patient.publishing.serve_live, "orders", "v1", "L1")
            _until_it_waits(postgres.store)
            with pytest.raises(StoreError, match="lock timeout"), writing(other, 64):
                pass
        assert publishing.result(60).live_run == "L1"
        patient.close()


def _until_it_waits(store: ViewStore) -> None:
    """Until some session waits for a lock on a run."""
    query = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    for _ in range(100_000):
        with store.database.read() as connection:
            if connection.execute(query).scalar():
                return
    raise AssertionError("nobody waits")
