"""The rules of results, their seeded stories and transcripts on PostgreSQL: the same, transaction by transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from oracles import result_checks
from processes.stages import wait_for
from servers.postgres_stories import stories_on_postgres
from without_runner.result_seeds import RESULTS, check_changes_meanwhile, check_results
from without_runner.result_stories import Event, Story, definition_of

import tandem.views.outbox.messages
import tandem.views.results.revisions.writing
from tandem.views.outbox.leases import acquire_lease
from tandem.views.outbox.messages import TAKEN, WAITING, take_messages
from tandem.views.results.revisions.draining import Drainer

pytestmark = pytest.mark.xdist_group("postgres")

CHECKS = {**result_checks.checks(), "check_changes_meanwhile": check_changes_meanwhile}


@pytest.fixture(scope="module")
def postgres() -> Iterator[None]:
    pytest.importorskip("psycopg", reason="psycopg isn't installed")
    try:
        with stories_on_postgres():
            yield
    except LookupError as why:
        pytest.skip(str(why))


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_rules(postgres: None, check: Callable[[], object]) -> None:
    check()


@pytest.mark.parametrize("result", RESULTS)
def test_seeded_stories(postgres: None, result: str) -> None:
    check_results(result, (1,))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
@pytest.mark.parametrize("result", RESULTS)
def test_more_seeded_stories(postgres: None, result: str, seed: int) -> None:
    check_results(result, (seed,))


BLOCKED = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


class Meanwhile:
    """Of a story with an early message that waits: replacing it by the next one, and taking it, side by side."""

    def __init__(self, story: Story) -> None:
        self.story, self.taken = story, list[Any]()
        self.count()
        lease = acquire_lease(story.store.database, "visits", "taker", story.now)
        assert lease is not None
        self.lease = lease

    def count(self) -> None:
        """One event more, and the early revision of it."""
        self.story.live(Event(0.1))
        for _ in range(2):
            Drainer(self.story.store, self.story.compiled).drain(self.story.now)
            self.story.wait(10)

    def take(self) -> None:
        self.taken += take_messages(self.story.store.database, self.lease, "log", 10, now=self.story.now) or ["lost"]

    def beside(self, patch: pytest.MonkeyPatch, module: Any, name: str, act: Callable[[], None]) -> threading.Thread:
        """`act` begins within the transaction that first calls this function, which goes on once it is held up."""
        intact, thread = getattr(module, name), threading.Thread(target=act)

        def call(*arguments: Any) -> Any:
            patch.setattr(module, name, intact)
            done = intact(*arguments)
            thread.start()
            wait_for("the other one waits for a lock, or is done", lambda: self._blocked() or not thread.is_alive())
            return done

        patch.setattr(module, name, call)
        return thread

    def _blocked(self) -> bool:
        with self.story.store.database.read() as connection:
            return bool(connection.execute(BLOCKED).scalar())

    def held(self) -> list[tuple[Any, ...]]:
        """What the outbox holds, and by their order what was taken: (state, revision, whether it counts both)."""
        return [(row.state, row.revision, '"n":2' in row.payload) for row in self.story.outbox()]


@pytest.fixture
def meanwhile(postgres: None, tmp_path: Path) -> Iterator[Meanwhile]:
    with closing(Story(tmp_path / "v.db", definition_of(result_checks.EARLY))) as story:
        story.serve()
        yield Meanwhile(story)


def replaced_first(meanwhile: Meanwhile, patch: pytest.MonkeyPatch) -> None:
    writing = tandem.views.results.revisions.writing
    thread = meanwhile.beside(patch, writing, "_replaced", meanwhile.take)
    meanwhile.count()
    thread.join()
    assert [(message.revision, '"n":2' in message.payload) for message in meanwhile.taken] == [(1, True)]
    assert meanwhile.held() == [(TAKEN, 1, True)]


def taken_first(meanwhile: Meanwhile, patch: pytest.MonkeyPatch) -> None:
    thread = meanwhile.beside(patch, tandem.views.outbox.messages, "_next", meanwhile.count)
    meanwhile.take()
    thread.join()
    assert [(message.revision, '"n":2' in message.payload) for message in meanwhile.taken] == [(1, False)]
    assert meanwhile.held() == [(TAKEN, 1, False), (WAITING, 2, True)]


ORDERS = [pytest.param(replaced_first, id="replaced first"), pytest.param(taken_first, id="taken first")]
Order = Callable[[Meanwhile, pytest.MonkeyPatch], None]


@pytest.mark.parametrize("order", ORDERS)
def test_one_number_has_one_state_while_it_is_replaced_and_taken(
    meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch, order: Order
) -> None:
    order(meanwhile, monkeypatch)


@pytest.mark.parametrize("order", ORDERS)
def test_without_the_lock_it_has_two(meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch, order: Order) -> None:
    monkeypatch.setattr(tandem.views.results.revisions.writing, "keep_from_taking", lambda *arguments: None)
    with pytest.raises(AssertionError):
        order(meanwhile, monkeypatch)
